# The libraries freshet stands on. DuckDB is fetched by script/bootstrap (or given by DUCKDB_ROOT); the others come from
# the system's packages.
find_package(Threads REQUIRED)
find_package(PkgConfig REQUIRED)
find_package(DuckDB 1.5.6 EXACT REQUIRED)

set(FRESHET_BUNDLE) # the small libraries that `make dist` puts beside libduckdb
foreach(name IN ITEMS jansson:jansson zstd:libzstd zlib:zlib)
  string(REGEX MATCH "^(.*):(.*)$" _ "${name}")
  set(name "${CMAKE_MATCH_1}")
  pkg_check_modules(${name} REQUIRED IMPORTED_TARGET GLOBAL ${CMAKE_MATCH_2})
  add_library(Freshet::${name} ALIAS PkgConfig::${name})
  list(APPEND FRESHET_BUNDLE ${${name}_LINK_LIBRARIES})
endforeach()

# CRoaring, for deletion vectors: Debian's package has no pkg-config file.
find_library(FRESHET_ROARING_LIBRARY roaring REQUIRED)
find_path(FRESHET_ROARING_INCLUDE roaring/roaring.h REQUIRED)
add_library(Freshet::roaring INTERFACE IMPORTED GLOBAL)
target_include_directories(Freshet::roaring SYSTEM INTERFACE "${FRESHET_ROARING_INCLUDE}")
target_link_libraries(Freshet::roaring INTERFACE "${FRESHET_ROARING_LIBRARY}")
list(APPEND FRESHET_BUNDLE "${FRESHET_ROARING_LIBRARY}")

# libedit, for the prompt of freshet sql: optional.
option(FRESHET_EDIT "edit lines at the prompt with libedit, if it is there" ON)
add_library(Freshet::edit INTERFACE IMPORTED GLOBAL)
if(FRESHET_EDIT AND NOT FRESHET_BUNDLE_DEPS) # the tarball asks for nothing that a bare system lacks
  pkg_check_modules(EDIT IMPORTED_TARGET GLOBAL libedit)
  if(EDIT_FOUND)
    target_link_libraries(Freshet::edit INTERFACE PkgConfig::EDIT)
    target_compile_definitions(Freshet::edit INTERFACE FRESHET_LIBEDIT)
  endif()
endif()
