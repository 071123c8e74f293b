/* A store is a place for bytes: a folder of the local file system or of this process's memory, later a bucket.
 *
 * A Store is a handle rooted at such a place. Keys are relative to the root, with '/' between segments; the empty key
 * is the root itself where a folder is meant. A key that is absolute, or has an empty, "." or ".." segment, is refused
 * (E_STORE_KEY), so nothing outside the root can be reached by name. Links below the root are followed as the kernel
 * follows them.
 *
 * What all stores promise, and tests/unit/test_store_conformance.c holds:
 *   - a name appears with its whole content or not at all;
 *   - store_put_if_absent has exactly one winner, among threads and among processes;
 *   - once a put, rename or sync has returned OK, the content and the name survive a power loss (store_set_fsync);
 *   - listings are in byte order.
 * A failure that carries ERROR_UNKNOWN_OUTCOME may have taken effect: read the name back to find out. Folders need not
 * be made before a put; a folder exists as long as something is in it, and empty ones may or may not be seen.
 *
 * All functions may be called from any thread; one handle may be shared.
 */
#ifndef FRESHET_STORE_STORE_H
#define FRESHET_STORE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/text.h"

typedef struct Store Store;

typedef struct StoreInfo {
    int64_t size;     /* bytes; 0 for a folder */
    int64_t mtime_ms; /* last change, milliseconds since the epoch; of folders only where the store has them */
    bool is_dir;
} StoreInfo;

typedef struct StoreEntry {
    const char *name; /* borrowed during the visit */
    StoreInfo info;
} StoreEntry;

/* Called for each entry; false ends the listing, which is then no failure. */
typedef bool StoreVisit(void *context, const StoreEntry *entry);

/* Opens a plain path (a relative one is against the working directory), "file:///path" (percent-decoded once) or
 * "memory://name[/folder]" (lives as long as the process, shared by all who open the name). Another scheme is
 * E_STORE_URI. The place need not exist. *out has one reference. */
Status store_open(const char *uri, Store **out, Error *err);
/* A handle on a folder below `store`. */
Status store_open_below(Store *store, const char *dir, Store **out, Error *err);
Store *store_ref(Store *store);
void store_unref(Store *store); /* NULL is fine */
/* The absolute path, or the memory:// URI; opens the same place again. */
const char *store_uri(const Store *store);

/* How a place is written into a file below `folder`, so that the folder can be moved with all that is in it: what is
 * below the folder as the path from there, anything else as it is. The answer points into `place`. */
const char *store_place_write(const char *place, const char *folder);
/* Appends the place that was written. */
void store_place_read(const char *written, const char *folder, Text *out);

/* Sets *out to the whole content; more than `max` bytes is E_LIMIT, out->max is raised to `max`. `info` may be NULL. */
Status store_read(Store *store, const char *key, size_t max, Text *out, StoreInfo *info, Error *err);
/* Sets *out to exactly `n` bytes from `offset`. A file that ends before is E_IO; nothing is allocated for it. */
Status store_read_range(Store *store, const char *key, int64_t offset, size_t n, Text *out, Error *err);
/* E_IO_NOT_FOUND when there is nothing of that name. */
Status store_info(Store *store, const char *key, StoreInfo *out, Error *err);

/* Takes the name for this content, or fails with E_IO_EXISTS. */
Status store_put_if_absent(Store *store, const char *key, const void *data, size_t n, Error *err);
/* The same without waiting for the disk: after a power loss the file may be missing, empty or torn. For what its
 * readers check and can do without. */
Status store_put_if_absent_unsynced(Store *store, const char *key, const void *data, size_t n, Error *err);
/* Like store_put_if_absent, but replaces what was there; a reader sees the old content or the new. */
Status store_put(Store *store, const char *key, const void *data, size_t n, Error *err);
/* Gives a file another name, which must be free (E_IO_EXISTS). */
Status store_rename_no_replace(Store *store, const char *from, const char *to, Error *err);
/* Deletes a file; missing is fine. Not synced: after a power loss it may be back. */
Status store_delete(Store *store, const char *key, Error *err);
/* Deletes a folder with all it holds; missing is fine. Links are removed, not followed. */
Status store_delete_folder(Store *store, const char *dir, Error *err);
/* Makes a folder and those above it, where the store has folders. */
Status store_mkdirs(Store *store, const char *dir, Error *err);

/* Visits what is directly in a folder, files and folders, in byte order of the names, beginning after `start_after`
 * (NULL: all). A folder that does not exist holds nothing. What is deleted meanwhile may be left out. */
Status store_list(Store *store, const char *dir, const char *start_after, StoreVisit *visit, void *context, Error *err);
/* Visits all files below a folder, in byte order of their names relative to it ("p=1/x.parquet"). Folders are not
 * visited themselves; a link to a folder is not entered. */
Status store_list_recursive(Store *store, const char *dir, StoreVisit *visit, void *context, Error *err);

/* Makes files that somebody else wrote (DuckDB) durable, and their names: each file, then each folder from theirs up to
 * the root once. After a failure the files must be written anew under other names. */
Status store_sync(Store *store, const char *key, Error *err);
Status store_sync_many(Store *store, const char *const *keys, size_t n, Error *err);

/* Sets *out to a path that other libraries can open. E_STORE_UNSUPPORTED for a store that has none. DuckDB takes paths
 * for glob patterns: whoever hands it one escapes it. */
Status store_local_path(Store *store, const char *key, Text *out, Error *err);

/* The setting freshet.fsync, for all stores of the process; on unless switched off. A commit waits for the disk twice,
 * its data files once each: 1 to 10 ms on a cloud disk, less on a good SSD. Without, the kernel writes when it likes:
 * after a power loss or a crash of the machine (not of the process) commits that were reported done may be missing,
 * empty or torn, and the table then needs a repair by hand. Only for tests and for data that can be made again. */
void store_set_fsync(bool on);
bool store_fsync(void);

#endif
