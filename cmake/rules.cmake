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

if(MILEPOST_FUZZ)
    # The rooms are instrumented too: a fuzzer that does not see them only guesses.
    add_compile_options(-fsanitize=fuzzer-no-link)
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

# milepost_test(NAME LABEL label TIMEOUT seconds [THREADS] LINKS … SOURCES …): one Catch2 program; each
# TEST_CASE becomes a ctest test with that label and time limit. The targets tests_<label> build all
# programs of a label; THREADS puts the program into tests_threads as well, which runs under the thread
# sanitizer.
function(milepost_test name)
    cmake_parse_arguments(PARSE_ARGV 1 test "THREADS" "LABEL;TIMEOUT" "LINKS;SOURCES")
    if(NOT test_TIMEOUT)
        set(test_TIMEOUT 60)
        if(test_LABEL MATCHES "crash|fuzz")
            set(test_TIMEOUT 300)
        endif()
    endif()
    if(MILEPOST_SANITIZE)
        math(EXPR test_TIMEOUT "4 * ${test_TIMEOUT}")
    endif()
    add_executable(${name} ${test_SOURCES})
    target_link_libraries(${name} PRIVATE milepost_test_main milepost::test_support ${test_LINKS})
    add_dependencies(tests_${test_LABEL} ${name})
    if(test_THREADS)
        add_dependencies(tests_threads ${name})
    endif()
    catch_discover_tests(${name}
        TEST_PREFIX "${name}: "
        PROPERTIES LABELS "${test_LABEL}" TIMEOUT ${test_TIMEOUT}
    )
endfunction()
foreach(label unit crash component fuzz threads)
    add_custom_target(tests_${label})
endforeach()
