/* What the two halves of the local store share: local.c (content and names) and local_list.c (folders). */
#ifndef FRESHET_STORE_LOCAL_INT_H
#define FRESHET_STORE_LOCAL_INT_H

#include <sys/stat.h>

#include "store/store_int.h"

/* The absolute path of a key; the caller frees it. */
Text local_full_path(const Store *store, const char *key);
StoreInfo local_info_of(const struct stat *st);

/* store_list and store_list_recursive. */
Status local_list(Store *store, const char *dir, const char *start_after, StoreVisit *visit, void *context, Error *err);
Status local_list_recursive(Store *store, const char *dir, StoreVisit *visit, void *context, Error *err);

#endif
