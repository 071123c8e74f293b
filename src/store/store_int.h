/* Inside of the store module: what an implementation provides. */
#ifndef FRESHET_STORE_STORE_INT_H
#define FRESHET_STORE_STORE_INT_H

#include <stdatomic.h>

#include "store/store.h"

enum {
    STORE_KEY_MAX = 4000,       /* bytes in a key */
    STORE_DEPTH_MAX = 128,      /* folders below each other in a recursive listing */
    STORE_MEMORY_MAX = 1 << 30, /* bytes in one memory:// place */
};

/* How a put takes its name, and whether it waits for the disk. */
typedef enum StorePut {
    STORE_PUT_IF_ABSENT = 0,
    STORE_PUT_REPLACE = 1,
    STORE_PUT_UNSYNCED = 2,
} StorePut;

/* The contracts are those of store.h; keys come checked. `how` is a set of StorePut. */
typedef struct StoreOps {
    void (*close)(Store *store);
    Status (*open_below)(Store *store, const char *dir, Store **out, Error *err);
    Status (*read)(Store *store, const char *key, size_t max, Text *out, StoreInfo *info, Error *err);
    Status (*read_range)(Store *store, const char *key, int64_t offset, size_t n, Text *out, Error *err);
    Status (*info)(Store *store, const char *key, StoreInfo *out, Error *err);
    Status (*put)(Store *store, const char *key, const void *data, size_t n, unsigned how, Error *err);
    Status (*rename)(Store *store, const char *from, const char *to, Error *err);
    Status (*remove)(Store *store, const char *key, Error *err);
    Status (*remove_folder)(Store *store, const char *dir, Error *err);
    Status (*mkdirs)(Store *store, const char *dir, Error *err);
    Status (*list)(Store *store, const char *dir, const char *start_after, StoreVisit *visit, void *context,
                   Error *err);
    Status (*list_recursive)(Store *store, const char *dir, StoreVisit *visit, void *context, Error *err);
    Status (*sync)(Store *store, const char *const *keys, size_t n, Error *err);
    Status (*local_path)(Store *store, const char *key, Text *out, Error *err);
} StoreOps;

/* The first member of every implementation's struct. */
struct Store {
    const StoreOps *ops;
    atomic_int references;
    char *uri; /* owned; freed after close() */
};

/* `path` is absolute. */
Store *store_local_new(const char *path);
/* `place` is what follows "memory://". */
Status store_memory_open(const char *place, Store **out, Error *err);
/* A text that may not be a key is E_STORE_KEY; the empty one may name a folder. */
Status store_key_check(const char *key, bool may_be_empty, Error *err);

#endif
