# Unit tests: every tests/unit/**/test_*.c is one program; other .c files there are shared by all of them.
# Fuzz targets: every tests/fuzz/fuzz_*.c defines LLVMFuzzerTestOneInput. With FRESHET_FUZZ it becomes a libFuzzer
# program, which takes words from tests/fuzz/dictionary/<name>; otherwise a program that replays
# tests/fuzz/corpus/<name>/, run as a test.
find_library(CMOCKA_LIBRARY cmocka REQUIRED)

set(_tools "${CMAKE_CURRENT_SOURCE_DIR}/tools")
set(FRESHET_TEST_ENVIRONMENT
  "ASAN_OPTIONS=detect_stack_use_after_return=1:strict_string_checks=1:abort_on_error=0"
  "LSAN_OPTIONS=suppressions=${_tools}/lsan.supp:print_suppressions=0"
  "UBSAN_OPTIONS=print_stacktrace=1"
  "TSAN_OPTIONS=suppressions=${_tools}/tsan.supp:halt_on_error=1:ignore_noninstrumented_modules=1")

file(GLOB_RECURSE _unit CONFIGURE_DEPENDS tests/unit/*.c)
set(_shared ${_unit})
list(FILTER _unit INCLUDE REGEX "/test_[^/]*\\.c$")
list(FILTER _shared EXCLUDE REGEX "/test_[^/]*\\.c$")
if(_shared)
  add_library(test_shared STATIC ${_shared})
  target_include_directories(test_shared PUBLIC tests/unit)
  target_link_libraries(test_shared PUBLIC freshet_objects ${CMOCKA_LIBRARY})
endif()
foreach(source IN LISTS _unit)
  get_filename_component(name "${source}" NAME_WE)
  add_executable(${name} "${source}")
  target_include_directories(${name} PRIVATE tests/unit)
  target_link_libraries(${name} PRIVATE $<TARGET_NAME_IF_EXISTS:test_shared> freshet_objects ${CMOCKA_LIBRARY})
  add_test(NAME ${name} COMMAND ${name})
  set_tests_properties(${name} PROPERTIES TIMEOUT 300 LABELS unit ENVIRONMENT "${FRESHET_TEST_ENVIRONMENT}")
endforeach()

file(GLOB _fuzz CONFIGURE_DEPENDS tests/fuzz/fuzz_*.c)
foreach(source IN LISTS _fuzz)
  get_filename_component(name "${source}" NAME_WE)
  string(REGEX REPLACE "^fuzz_" "" corpus "${name}")
  set(dictionary "${CMAKE_CURRENT_SOURCE_DIR}/tests/fuzz/dictionary/${corpus}")
  set(corpus "${CMAKE_CURRENT_SOURCE_DIR}/tests/fuzz/corpus/${corpus}")
  add_executable(${name} "${source}")
  target_link_libraries(${name} PRIVATE freshet_objects)
  if(FRESHET_FUZZ)
    target_link_options(${name} PRIVATE -fsanitize=fuzzer)
    set(found "${CMAKE_BINARY_DIR}/found/${name}") # what this build finds goes here, not into the corpus
    file(MAKE_DIRECTORY "${found}")
    if(NOT IS_DIRECTORY "${corpus}")
      set(corpus)
    endif()
    set(words)
    if(EXISTS "${dictionary}")
      set(words "-dict=${dictionary}")
    endif()
    add_test(NAME ${name} COMMAND ${name} -rss_limit_mb=2048 -seed=${FRESHET_FUZZ_SEED}
             -max_total_time=${FRESHET_FUZZ_SECONDS} ${words} "${found}" ${corpus})
  else()
    target_sources(${name} PRIVATE tests/fuzz/replay.c)
    add_test(NAME ${name} COMMAND ${name} "${corpus}")
  endif()
  set_tests_properties(${name} PROPERTIES TIMEOUT 300 LABELS fuzz ENVIRONMENT "${FRESHET_TEST_ENVIRONMENT}")
endforeach()

if(TARGET libfreshet)
  add_test(NAME exports COMMAND "${_tools}/check_exports" "$<TARGET_FILE:libfreshet>" "${CMAKE_BINARY_DIR}/libfreshet.map")
  set_tests_properties(exports PROPERTIES LABELS unit)
endif()
