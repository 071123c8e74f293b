/* Which absolute paths a log may name. A log that could name any file would make its reader open any.
 *
 * Inside the table's own folder everything may be named. Outside: what lies in a Delta table below the warehouse, which
 * is what shallow clones need, and whatever lies below a folder that the user has listed (freshet.allowedPaths).
 */
#ifndef FRESHET_DELTA_ALLOWED_H
#define FRESHET_DELTA_ALLOWED_H

#include <stdbool.h>

#include "base/error.h"

/* Sets the list for the process: local folders, as store_open takes them, with commas between them; "" or NULL: none.
 * E_DELTA_PROPERTY for a place that is not local. Any thread. */
Status delta_allowed_set(const char *list, Error *err);
/* The list as it was set, for putting it back: the caller's; NULL: none. */
char *delta_allowed_get(void);

/* A warehouse of the process begins and ends; by its absolute path. Counted. */
void delta_allowed_open(const char *warehouse);
void delta_allowed_close(const char *warehouse);

/* May a log outside of this file's folder name it? `path`: absolute, percent-decoded. */
bool delta_allowed_path(const char *path);

#endif
