# The installed tree can be moved as a whole: the program finds libduckdb.so relative to itself.
#   bin/freshet   lib/freshet/libduckdb.so   share/doc/freshet/   and with the C API: include/freshet.h lib/libfreshet.so
install(TARGETS freshet RUNTIME DESTINATION bin)

foreach(file IN LISTS DuckDB_RUNTIME_FILES)
  file(REAL_PATH "${file}" real)
  install(FILES "${real}" DESTINATION lib/freshet
    PERMISSIONS OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)
endforeach()
# install/strip strips targets only, and most of what libduckdb.so carries is for debuggers
install(CODE "
  if(CMAKE_INSTALL_DO_STRIP)
    execute_process(COMMAND \"${CMAKE_STRIP}\" --strip-unneeded \"\$ENV{DESTDIR}\${CMAKE_INSTALL_PREFIX}/lib/freshet/libduckdb.so\"
      COMMAND_ERROR_IS_FATAL ANY)
  endif()")

if(FRESHET_BUNDLE_DEPS) # under the names they are loaded by
  foreach(file IN LISTS FRESHET_BUNDLE)
    file(REAL_PATH "${file}" real)
    get_filename_component(soname "${real}" NAME)
    string(REGEX REPLACE "^(lib.*\\.so\\.[0-9]+).*$" "\\1" soname "${soname}")
    install(FILES "${real}" DESTINATION lib/freshet RENAME "${soname}")
  endforeach()
endif()

if(TARGET libfreshet)
  install(TARGETS libfreshet LIBRARY DESTINATION lib)
  install(FILES include/freshet.h DESTINATION include)
  configure_file(cmake/freshet.pc.in freshet.pc @ONLY)
  install(FILES "${CMAKE_BINARY_DIR}/freshet.pc" DESTINATION lib/pkgconfig)
endif()

install(FILES LICENSE CHANGELOG.md DESTINATION share/doc/freshet)
if(EXISTS "${CMAKE_CURRENT_SOURCE_DIR}/README.md")
  install(FILES README.md DESTINATION share/doc/freshet)
endif()
foreach(folder docs examples)
  if(IS_DIRECTORY "${CMAKE_CURRENT_SOURCE_DIR}/${folder}")
    install(DIRECTORY ${folder} DESTINATION share/doc/freshet PATTERN "__pycache__" EXCLUDE)
  endif()
endforeach()
