# Language, warnings, and the instrumented kinds of build.
set(CMAKE_C_STANDARD 17)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS OFF)
set(CMAKE_C_VISIBILITY_PRESET hidden)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)

# Assertions check for our own mistakes and stay on in every build, so no NDEBUG; debug information makes the stack of
# a crash readable and costs nothing at run time.
set(CMAKE_C_FLAGS_RELEASE "-O2 -g")

find_program(FRESHET_CCACHE ccache)
if(FRESHET_CCACHE AND NOT CMAKE_C_COMPILER_LAUNCHER)
  set(CMAKE_C_COMPILER_LAUNCHER "${FRESHET_CCACHE}")
endif()

add_compile_options(-Wall -Wextra -Wshadow -Wconversion -Wvla -Wformat=2 -Wundef -Wstrict-prototypes -Wmissing-prototypes)
if(CMAKE_C_COMPILER_ID MATCHES "Clang")
  add_compile_options(-Wno-format-nonliteral) # gcc knows that a function with a va_list passes its caller's format on
endif()
if(FRESHET_WERROR)
  add_compile_options(-Werror)
endif()

add_compile_options(-ffunction-sections -fdata-sections -fno-omit-frame-pointer)
add_link_options(-Wl,--as-needed)

if(FRESHET_SANITIZE)
  add_compile_options(-fsanitize=${FRESHET_SANITIZE} -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${FRESHET_SANITIZE})
  if(CMAKE_C_COMPILER_ID STREQUAL "GNU" AND FRESHET_SANITIZE MATCHES "thread")
    add_compile_options(-Wno-tsan) # gcc's ThreadSanitizer does not model atomic_thread_fence
  endif()
elseif(CMAKE_BUILD_TYPE STREQUAL "Release")
  add_compile_options(-fstack-protector-strong "$<$<CONFIG:Release>:-U_FORTIFY_SOURCE;-D_FORTIFY_SOURCE=2>")
  add_link_options(-Wl,-z,relro,-z,now)
endif()
if(FRESHET_COVERAGE)
  add_compile_options(--coverage -O0)
  add_link_options(--coverage)
endif()
if(FRESHET_FUZZ)
  if(NOT CMAKE_C_COMPILER_ID MATCHES "Clang")
    message(FATAL_ERROR "libFuzzer needs clang: use `cmake --preset fuzz` or -DCMAKE_C_COMPILER=clang")
  endif()
  add_compile_options(-fsanitize=fuzzer-no-link)
endif()
