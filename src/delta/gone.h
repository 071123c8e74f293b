/* Data files that are not there. */
#ifndef FRESHET_DELTA_GONE_H
#define FRESHET_DELTA_GONE_H

#include "base/error.h"

/* Where DuckDB says that it finds no file, and the file would lie in a Delta table, *err becomes E_DELTA_FILE_GONE with
 * the table and what can be done; any other error stays. The status of *err. */
Status delta_explain_gone(Error *err);

#endif
