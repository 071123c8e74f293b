# The libraries freshet stands on. DuckDB is fetched by script/bootstrap (or given by DUCKDB_ROOT); the others come from
# the system's packages.
find_package(Threads REQUIRED)
find_package(PkgConfig REQUIRED)
find_package(DuckDB 1.5.6 EXACT REQUIRED)

# freshet_system_library(<name> <pkg-config name> <library>): the target Freshet::<name>, linked as a shared library,
# or from its archive when FRESHET_STATIC_DEPS is on.
function(freshet_system_library name pc library)
  pkg_check_modules(${name} REQUIRED IMPORTED_TARGET GLOBAL ${pc})
  add_library(Freshet::${name} INTERFACE IMPORTED GLOBAL)
  if(FRESHET_STATIC_DEPS)
    find_library(FRESHET_${name}_ARCHIVE "lib${library}.a" HINTS ${${name}_LIBRARY_DIRS} REQUIRED)
    target_include_directories(Freshet::${name} SYSTEM INTERFACE ${${name}_INCLUDE_DIRS})
    target_link_libraries(Freshet::${name} INTERFACE "${FRESHET_${name}_ARCHIVE}")
  else()
    target_link_libraries(Freshet::${name} INTERFACE PkgConfig::${name})
  endif()
endfunction()

freshet_system_library(jansson jansson jansson)
freshet_system_library(zstd libzstd zstd)
freshet_system_library(zlib zlib z)

# CRoaring, for deletion vectors: Debian's package has neither a pkg-config file nor an archive.
find_library(FRESHET_ROARING_LIBRARY roaring REQUIRED)
find_path(FRESHET_ROARING_INCLUDE roaring/roaring.h REQUIRED)
add_library(Freshet::roaring INTERFACE IMPORTED GLOBAL)
target_include_directories(Freshet::roaring SYSTEM INTERFACE "${FRESHET_ROARING_INCLUDE}")
target_link_libraries(Freshet::roaring INTERFACE "${FRESHET_ROARING_LIBRARY}")

# libedit, for the prompt of freshet sql: optional.
option(FRESHET_EDIT "edit lines at the prompt with libedit, if it is there" ON)
add_library(Freshet::edit INTERFACE IMPORTED GLOBAL)
if(FRESHET_EDIT AND NOT FRESHET_STATIC_DEPS) # the tarball asks for nothing that a bare system lacks
  pkg_check_modules(EDIT IMPORTED_TARGET GLOBAL libedit)
  if(EDIT_FOUND)
    target_link_libraries(Freshet::edit INTERFACE PkgConfig::EDIT)
    target_compile_definitions(Freshet::edit INTERFACE FRESHET_LIBEDIT)
  endif()
endif()
