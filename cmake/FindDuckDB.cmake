# Finds duckdb.h and libduckdb.so in the folder DUCKDB_ROOT (cache or environment; default .deps/duckdb, where
# script/bootstrap puts them), flat or as include/ and lib/, and checks that both are the version that is asked for.
# No other place is searched: a DuckDB that happens to be installed has another C API.
#
# Defines DuckDB::duckdb, DuckDB_VERSION, and DuckDB_RUNTIME_FILES (what has to be installed beside the program).
#
# A library taken from the Python wheel has no SONAME and needs a few hundred symbols of libpython that are never used;
# script/bootstrap lays libpystub.so beside it, which has them all.
if(DEFINED ENV{DUCKDB_ROOT})
  set(_duckdb_default "$ENV{DUCKDB_ROOT}")
else()
  set(_duckdb_default "${CMAKE_SOURCE_DIR}/.deps/duckdb")
endif()
set(DUCKDB_ROOT "${_duckdb_default}" CACHE PATH "folder that holds duckdb.h and libduckdb.so")

foreach(found DUCKDB_LIBRARY DUCKDB_INCLUDE DUCKDB_PYSTUB)
  if(DEFINED ${found} AND NOT EXISTS "${${found}}")
    unset(${found} CACHE) # it has moved since it was found
  endif()
endforeach()
find_library(DUCKDB_LIBRARY duckdb HINTS "${DUCKDB_ROOT}" PATH_SUFFIXES lib NO_DEFAULT_PATH)
find_path(DUCKDB_INCLUDE duckdb.h HINTS "${DUCKDB_ROOT}" PATH_SUFFIXES include NO_DEFAULT_PATH)
find_library(DUCKDB_PYSTUB pystub HINTS "${DUCKDB_ROOT}" PATH_SUFFIXES lib NO_DEFAULT_PATH)
mark_as_advanced(DUCKDB_LIBRARY DUCKDB_INCLUDE DUCKDB_PYSTUB)

if(DUCKDB_LIBRARY AND DUCKDB_INCLUDE)
  add_library(DuckDB::duckdb SHARED IMPORTED)
  set_target_properties(DuckDB::duckdb PROPERTIES
    IMPORTED_LOCATION "${DUCKDB_LIBRARY}"
    IMPORTED_NO_SONAME TRUE
    INTERFACE_INCLUDE_DIRECTORIES "${DUCKDB_INCLUDE}")
  set(DuckDB_RUNTIME_FILES "${DUCKDB_LIBRARY}")
  if(DUCKDB_PYSTUB)
    add_library(DuckDB::pystub SHARED IMPORTED)
    set_target_properties(DuckDB::pystub PROPERTIES IMPORTED_LOCATION "${DUCKDB_PYSTUB}")
    target_link_libraries(DuckDB::duckdb INTERFACE -Wl,--no-as-needed DuckDB::pystub -Wl,--as-needed)
    list(APPEND DuckDB_RUNTIME_FILES "${DUCKDB_PYSTUB}")
  endif()

  # The library says its version itself; asked once per library file.
  file(TIMESTAMP "${DUCKDB_LIBRARY}" _duckdb_stamp)
  if(NOT "${DUCKDB_LIBRARY} ${_duckdb_stamp}" STREQUAL "${DUCKDB_CHECKED}")
    unset(DUCKDB_PROBE_RUN CACHE)
    unset(DUCKDB_PROBE_COMPILED CACHE)
    try_run(DUCKDB_PROBE_RUN DUCKDB_PROBE_COMPILED "${CMAKE_BINARY_DIR}/duckdb-probe"
      "${CMAKE_CURRENT_LIST_DIR}/duckdb_version.c" LINK_LIBRARIES DuckDB::duckdb
      COMPILE_OUTPUT_VARIABLE _duckdb_compile RUN_OUTPUT_VARIABLE _duckdb_version)
    if(NOT DUCKDB_PROBE_COMPILED)
      message(FATAL_ERROR "a program cannot be linked with ${DUCKDB_LIBRARY}:\n${_duckdb_compile}")
    endif()
    string(REGEX REPLACE "^v" "" _duckdb_version "${_duckdb_version}")
    set(DUCKDB_VERSION "${_duckdb_version}" CACHE INTERNAL "what the library calls itself")
    set(DUCKDB_CHECKED "${DUCKDB_LIBRARY} ${_duckdb_stamp}" CACHE INTERNAL "the library DUCKDB_VERSION belongs to")
  endif()
  set(DuckDB_VERSION "${DUCKDB_VERSION}")

  file(SHA256 "${DUCKDB_INCLUDE}/duckdb.h" _duckdb_header)
  if(NOT _duckdb_header STREQUAL "e85f70155b5948c8575e59f66e60d43575cec8b252293534c9e8598eb313a293")
    message(WARNING "${DUCKDB_INCLUDE}/duckdb.h is not the header of DuckDB 1.5.6")
  endif()
endif()

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(DuckDB
  REQUIRED_VARS DUCKDB_LIBRARY DUCKDB_INCLUDE
  VERSION_VAR DuckDB_VERSION
  REASON_FAILURE_MESSAGE "Run script/bootstrap, which fetches it, or give a folder with duckdb.h and libduckdb.so as DUCKDB_ROOT (looked in '${DUCKDB_ROOT}').")
