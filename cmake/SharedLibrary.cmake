# libfreshet.so: everything below src/ except the commands, exporting what include/freshet.h declares and nothing else.
file(READ "${CMAKE_CURRENT_SOURCE_DIR}/include/freshet.h" _header)
string(REGEX MATCHALL "freshet_[a-z0-9_]+ *\\(" _declared "${_header}")
list(TRANSFORM _declared REPLACE " *\\($" "")
list(REMOVE_DUPLICATES _declared)
string(JOIN ";\n    " FRESHET_EXPORTS ${_declared})
set(_map "${CMAKE_BINARY_DIR}/libfreshet.map")
configure_file(cmake/libfreshet.map.in "${_map}" @ONLY)
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS include/freshet.h)

add_library(libfreshet SHARED "${CMAKE_CURRENT_SOURCE_DIR}/cmake/empty.c")
target_link_libraries(libfreshet PRIVATE "$<LINK_LIBRARY:WHOLE_ARCHIVE,freshet_objects>")
target_link_options(libfreshet PRIVATE "-Wl,--version-script=${_map}" -Wl,--gc-sections)
set_target_properties(libfreshet PROPERTIES
  OUTPUT_NAME freshet
  VERSION ${PROJECT_VERSION}
  SOVERSION ${PROJECT_VERSION_MAJOR}
  LINK_DEPENDS "${_map}"
  INSTALL_RPATH "$ORIGIN/freshet")
