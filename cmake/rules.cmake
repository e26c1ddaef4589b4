# House rules: one INTERFACE target that every target of ours links, and the functions that make
# rooms and tests.
set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_VERIFY_INTERFACE_HEADER_SETS ON)
set_property(GLOBAL PROPERTY GLOBAL_DEPENDS_NO_CYCLES ON)

add_library(milepost_rules INTERFACE)
add_library(milepost::rules ALIAS milepost_rules)
target_include_directories(milepost_rules INTERFACE ${PROJECT_SOURCE_DIR})
target_compile_options(milepost_rules INTERFACE
    $<$<COMPILE_LANGUAGE:CXX>:
        -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion -Wold-style-cast -Wcast-align
        -Wcast-qual -Woverloaded-virtual -Wundef -Wformat=2 -Wimplicit-fallthrough -Wextra-semi
        -Wdouble-promotion -Wswitch-enum -Werror=return-type -Werror=unused-result>
    $<$<COMPILE_LANG_AND_ID:CXX,GNU>:
        -Wduplicated-cond -Wduplicated-branches -Wlogical-op -Wuseless-cast -Wsuggest-override
        -Wcomma-subscript>
    -fno-omit-frame-pointer -ffile-prefix-map=${PROJECT_SOURCE_DIR}=.
)
find_program(MILEPOST_MOLD mold)
if(MILEPOST_MOLD)
    target_link_options(milepost_rules INTERFACE -fuse-ld=mold)
endif()

if(MILEPOST_SANITIZE)
    add_compile_options(-fsanitize=${MILEPOST_SANITIZE} -fno-sanitize-recover=all)
    add_link_options(-fsanitize=${MILEPOST_SANITIZE})
    if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
        # False alarms of gcc 12 with sanitizers: <regex>, every coroutine, atomic_thread_fence.
        add_compile_options(-Wno-maybe-uninitialized $<$<COMPILE_LANGUAGE:CXX>:-Wno-mismatched-new-delete> -Wno-tsan)
    else()
        add_compile_options(-fno-sanitize=function)
    endif()
    if(MILEPOST_SANITIZE STREQUAL "thread")
        add_compile_definitions(BOOST_ASIO_DISABLE_FENCED_BLOCK)
    endif()
endif()

if(MILEPOST_TIDY)
    find_program(MILEPOST_CLANG_TIDY NAMES clang-tidy-14 REQUIRED)
    set(CMAKE_CXX_CLANG_TIDY ${MILEPOST_CLANG_TIDY} --quiet)
endif()

# milepost_room(NAME HEADERS … SOURCES … LINKS … PRIVATE_LINKS …): one static library per room,
# milepost::NAME. A room links what the table in ARCHITECTURE.md allows and nothing else.
function(milepost_room name)
    cmake_parse_arguments(PARSE_ARGV 1 room "" "" "HEADERS;SOURCES;LINKS;PRIVATE_LINKS")
    add_library(milepost_${name} STATIC)
    add_library(milepost::${name} ALIAS milepost_${name})
    target_sources(milepost_${name}
        PUBLIC FILE_SET HEADERS BASE_DIRS ${PROJECT_SOURCE_DIR} FILES ${room_HEADERS}
        PRIVATE ${room_SOURCES}
    )
    target_link_libraries(milepost_${name} PUBLIC milepost::rules ${room_LINKS} PRIVATE ${room_PRIVATE_LINKS})
endfunction()

# milepost_test(NAME LABEL label TIMEOUT seconds LINKS … SOURCES …): one Catch2 program; each
# TEST_CASE becomes a ctest test with that label and time limit.
function(milepost_test name)
    cmake_parse_arguments(PARSE_ARGV 1 test "" "LABEL;TIMEOUT" "LINKS;SOURCES")
    if(NOT test_TIMEOUT)
        set(test_TIMEOUT 60)
    endif()
    add_executable(${name} ${test_SOURCES})
    target_link_libraries(${name} PRIVATE milepost_test_main milepost::test_support ${test_LINKS})
    catch_discover_tests(${name}
        TEST_PREFIX "${name}: "
        DISCOVERY_MODE PRE_TEST
        PROPERTIES LABELS "${test_LABEL}" TIMEOUT ${test_TIMEOUT}
    )
endfunction()
