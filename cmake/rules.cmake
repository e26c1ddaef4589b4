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
        -Wall -Wextra -Wpedantic -Wconversion -Wsign-conversion -Wold-style-cast -Wcast-align
        -Wcast-qual -Woverloaded-virtual -Wundef -Wformat=2 -Wimplicit-fallthrough -Wextra-semi
        -Wdouble-promotion -Wswitch-enum -Werror=return-type -Werror=unused-result>
    $<$<COMPILE_LANG_AND_ID:CXX,GNU>:
        -Wduplicated-cond -Wduplicated-branches -Wlogical-op -Wuseless-cast -Wsuggest-override
        -Wcomma-subscript>
    -fno-omit-frame-pointer -ffile-prefix-map=${PROJECT_SOURCE_DIR}=.
    -ffunction-sections -fdata-sections
)
# What nobody calls is left out of the programs: less to map, and less resident, on a small machine.
target_link_options(milepost_rules INTERFACE -Wl,--gc-sections)
if(NOT MILEPOST_UNITY)
    target_compile_options(milepost_rules INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-Wshadow>)
elseif(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    # Like -Wshadow, which is left out: said of names that are of two sources.
    target_compile_options(milepost_rules INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-Wno-subobject-linkage>)
endif()
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

# The sanitizers' trees parse the standard library once (a file takes 1.8 instead of 3.0 CPU seconds, a test 3.2
# instead of 5.6). Release and dev do without, so that a missing include is an error there.
if(MILEPOST_PCH)
    file(WRITE ${PROJECT_BINARY_DIR}/empty.cpp "")
    add_library(milepost_std OBJECT ${PROJECT_BINARY_DIR}/empty.cpp)
    target_link_libraries(milepost_std PRIVATE milepost::rules)
    target_precompile_headers(milepost_std PRIVATE
        <algorithm> <array> <charconv> <chrono> <cstdint> <deque> <filesystem> <functional> <limits> <map> <memory>
        <mutex> <optional> <span> <string> <string_view> <utility> <variant> <vector>)
    add_library(milepost_catch OBJECT ${PROJECT_BINARY_DIR}/empty.cpp)
    target_link_libraries(milepost_catch PRIVATE milepost::rules)
    target_precompile_headers(milepost_catch PRIVATE
        <algorithm> <array> <chrono> <cstdint> <filesystem> <fstream> <functional> <map> <memory> <optional> <set>
        <span> <string> <string_view> <thread> <utility> <vector> <catch2/catch.hpp>)
    if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
        add_compile_options($<$<COMPILE_LANGUAGE:CXX>:-fpch-preprocess>)  # ccache looks for it
    else()
        add_compile_options("$<$<COMPILE_LANGUAGE:CXX>:SHELL:-Xclang -fno-pch-timestamp>")  # and cannot keep that
    endif()
endif()

# asan's tree is not optimised, which halves its compile time; but what the tests walk through is: at every byte and call,
# or over days of driving.
if(MILEPOST_SANITIZE AND CMAKE_BUILD_TYPE STREQUAL "Debug" AND CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
    set(MILEPOST_WALKED_OPTION -O1)
endif()

if(MILEPOST_FUZZ)
    # The rooms are instrumented too: a fuzzer that does not see them only guesses.
    add_compile_options(-fsanitize=fuzzer-no-link)
endif()

if(MILEPOST_TIDY)
    find_program(MILEPOST_CLANG_TIDY NAMES clang-tidy-14 REQUIRED)
    set(CMAKE_CXX_CLANG_TIDY ${MILEPOST_CLANG_TIDY} --quiet)
endif()

# milepost_room(NAME [APART] [WALKED] HEADERS … SOURCES … SELDOM … LINKS … PRIVATE_LINKS …): one static library per room,
# milepost::NAME. SELDOM: further sources, whose speed nobody feels; a release is built for size there, which is a
# fifth less program to keep in memory. MILEPOST_UNITY joins eight sources in one compile, unless they are APART: names of
# their own may be the same there. WALKED: see MILEPOST_WALKED_OPTION. A room links what the table in ARCHITECTURE.md
# allows and nothing else. That a header stands alone is checked by the source of its name, which includes it first
# (tests/tidy sees to that) in the trees that join none; the others are compiled by themselves:
# all_verify_interface_header_sets.
function(milepost_room name)
    cmake_parse_arguments(PARSE_ARGV 1 room "APART;WALKED" "" "HEADERS;SOURCES;SELDOM;LINKS;PRIVATE_LINKS")
    add_library(milepost_${name} STATIC)
    add_library(milepost::${name} ALIAS milepost_${name})
    if(NOT MILEPOST_UNITY)  # a source with options of its own is not joined
        set_source_files_properties(${room_SELDOM} PROPERTIES COMPILE_OPTIONS $<$<CONFIG:RelWithDebInfo>:-Os>)
    elseif(NOT room_APART)
        set_target_properties(milepost_${name} PROPERTIES UNITY_BUILD ON UNITY_BUILD_BATCH_SIZE 8)
    endif()
    set(alone ${room_HEADERS})
    foreach(source IN LISTS room_SOURCES room_SELDOM)
        string(REGEX REPLACE "[.]cpp$" ".hpp" header ${source})
        list(REMOVE_ITEM alone ${header})
    endforeach()
    target_sources(milepost_${name}
        PUBLIC
            FILE_SET HEADERS BASE_DIRS ${PROJECT_SOURCE_DIR} FILES ${room_HEADERS}
            FILE_SET alone TYPE HEADERS BASE_DIRS ${PROJECT_SOURCE_DIR} FILES ${alone}
        PRIVATE ${room_SOURCES} ${room_SELDOM}
    )
    set_target_properties(milepost_${name} PROPERTIES INTERFACE_HEADER_SETS_TO_VERIFY alone)
    if(room_WALKED AND MILEPOST_WALKED_OPTION)
        target_compile_options(milepost_${name} PRIVATE ${MILEPOST_WALKED_OPTION})
    elseif(MILEPOST_PCH)  # clang takes none of another optimisation
        target_precompile_headers(milepost_${name} REUSE_FROM milepost_std)
    endif()
    target_link_libraries(milepost_${name} PUBLIC milepost::rules ${room_LINKS} PRIVATE ${room_PRIVATE_LINKS})
endfunction()

# milepost_test(NAME LABEL label TIMEOUT seconds [THREADS] LINKS … SOURCES … APART …): one Catch2 program; each
# TEST_CASE becomes a ctest test with that label and time limit. The targets tests_<label> build all
# programs of a label; THREADS puts the program into tests_threads as well, which runs under the thread
# sanitizer. APART: further sources; MILEPOST_UNITY joins the others by fours, and names of their own would meet there.
function(milepost_test name)
    cmake_parse_arguments(PARSE_ARGV 1 test "THREADS" "LABEL;TIMEOUT" "LINKS;SOURCES;APART")
    if(NOT test_TIMEOUT)
        set(test_TIMEOUT 60)
        if(test_LABEL MATCHES "crash|fuzz")
            set(test_TIMEOUT 300)
        endif()
    endif()
    if(MILEPOST_SANITIZE)
        math(EXPR test_TIMEOUT "4 * ${test_TIMEOUT}")
    endif()
    add_executable(${name} ${test_SOURCES} ${test_APART})
    if(MILEPOST_UNITY)
        set_target_properties(${name} PROPERTIES UNITY_BUILD ON UNITY_BUILD_BATCH_SIZE 4)
        set_source_files_properties(${test_APART} PROPERTIES SKIP_UNITY_BUILD_INCLUSION ON)
    endif()
    if(MILEPOST_PCH)
        target_precompile_headers(${name} REUSE_FROM milepost_catch)
    endif()
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
foreach(label unit crash component fuzz threads system)
    add_custom_target(tests_${label})
endforeach()
