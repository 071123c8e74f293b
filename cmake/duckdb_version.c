/* Prints the version of the DuckDB library that is linked; used by FindDuckDB.cmake. */
#include <duckdb.h>
#include <stdio.h>

int main(void)
{
    return fputs(duckdb_library_version(), stdout) < 0;
}
