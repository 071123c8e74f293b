/* The objects of libfreshet.so come from the archive freshet_objects; CMake wants one source. */
