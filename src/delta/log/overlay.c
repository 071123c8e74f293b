/* A hash table from files (path and deletion vector) to the newest action about each, and the SQL functions over it. */
#include "delta/log/overlay.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "base/map.h"
#include "delta/log/path.h"
#include "duck/function.h"

enum { KEY_BYTES_MAX = 1 << 20, SLOTS_MIN = 64 };

typedef struct Entry {
    uint64_t hash;
    const char *key; /* canonical path, NUL, deletion vector id */
    size_t key_length;
    const DeltaFile *file;
    bool live;
} Entry;

/* One of the two relations over the entries. */
typedef struct Side {
    DeltaOverlay *overlay;
    const DeltaFile **files;
    size_t n, capacity;
    uint64_t handle; /* 0 = not registered */
} Side;

struct DeltaOverlay {
    Duck *duck;
    char *root;
    Arena *arena;
    Entry *entries;
    size_t n, capacity;
    uint32_t *slots; /* entry index + 1; 0 = free */
    size_t n_slots;
    Text key; /* scratch of apply */
    Side adds, removes;
    uint64_t id;          /* for freshet_log_shadowed; 0 = not registered */
    pthread_mutex_t lock; /* guards the lazy registrations */
};

/* ---- the table of overlays that SQL may name ---- */

static struct {
    pthread_mutex_t lock;
    DeltaOverlay **list;
    uint64_t *ids;
    size_t n, capacity_list, capacity_ids;
    uint64_t next;
} registry = {.lock = PTHREAD_MUTEX_INITIALIZER};

static uint64_t registry_add(DeltaOverlay *overlay)
{
    pthread_mutex_lock(&registry.lock);
    uint64_t id = ++registry.next;
    registry.list = mem_grow(registry.list, registry.n, &registry.capacity_list, sizeof(DeltaOverlay *));
    registry.ids = mem_grow(registry.ids, registry.n, &registry.capacity_ids, sizeof(uint64_t));
    registry.list[registry.n] = overlay;
    registry.ids[registry.n] = id;
    registry.n++;
    pthread_mutex_unlock(&registry.lock);
    return id;
}

static void registry_remove(uint64_t id)
{
    pthread_mutex_lock(&registry.lock);
    for (size_t i = 0; i < registry.n; i++) {
        if (registry.ids[i] == id) {
            registry.n--;
            registry.list[i] = registry.list[registry.n];
            registry.ids[i] = registry.ids[registry.n];
            break;
        }
    }
    pthread_mutex_unlock(&registry.lock);
}

static DeltaOverlay *registry_find(uint64_t id)
{
    DeltaOverlay *found = NULL;

    pthread_mutex_lock(&registry.lock);
    for (size_t i = 0; i < registry.n; i++) {
        if (registry.ids[i] == id) {
            found = registry.list[i];
        }
    }
    pthread_mutex_unlock(&registry.lock);
    return found;
}

/* ---- the hash ---- */

static void append_key(const char *root, const char *path, size_t path_length, const char *dv, size_t dv_length,
                       Text *out)
{
    text_clear(out);
    delta_path_canonical(root, path, path_length, out);
    text_append_char(out, '\0');
    text_append_n(out, dv, dv_length);
}

static const Entry *entry_find(const DeltaOverlay *o, const char *key, size_t n, uint64_t hash, size_t *slot)
{
    size_t mask = o->n_slots - 1, i = (size_t)hash & mask;

    for (; o->slots[i] != 0; i = (i + 1) & mask) {
        const Entry *e = &o->entries[o->slots[i] - 1];
        if (e->hash == hash && e->key_length == n && memcmp(e->key, key, n) == 0) {
            *slot = i;
            return e;
        }
    }
    *slot = i;
    return NULL;
}

static void slots_grow(DeltaOverlay *o)
{
    size_t n_slots = o->n_slots == 0 ? SLOTS_MIN : o->n_slots * 2;

    mem_free(o->slots);
    o->slots = mem_alloc(n_slots * sizeof *o->slots);
    o->n_slots = n_slots;
    for (size_t i = 0; i < o->n; i++) {
        size_t at = (size_t)o->entries[i].hash & (n_slots - 1);
        while (o->slots[at] != 0) {
            at = (at + 1) & (n_slots - 1);
        }
        o->slots[at] = (uint32_t)(i + 1);
    }
}

static void side_add(Side *side, const DeltaFile *file)
{
    side->files = mem_grow(side->files, side->n, &side->capacity, sizeof *side->files);
    side->files[side->n++] = file;
}

static void apply_file(DeltaOverlay *o, const DeltaFile *file, bool live)
{
    Text dv = TEXT(KEY_BYTES_MAX);
    size_t slot;

    if (o->n_slots == 0 || o->n * 4 >= o->n_slots * 3) {
        slots_grow(o);
    }
    delta_file_dv_id(file, &dv);
    append_key(o->root, file->path, strlen(file->path), text_str(&dv), dv.length, &o->key);
    text_free(&dv);
    uint64_t hash = hash_bytes(o->key.data, o->key.length);
    if (entry_find(o, o->key.data, o->key.length, hash, &slot) != NULL) {
        return; /* a newer action has spoken */
    }
    o->entries = mem_grow(o->entries, o->n, &o->capacity, sizeof *o->entries);
    char *key = arena_alloc(o->arena, o->key.length);
    memcpy(key, o->key.data, o->key.length);
    o->entries[o->n] = (Entry){.hash = hash, .key = key, .key_length = o->key.length, .file = file, .live = live};
    o->slots[slot] = (uint32_t)++o->n;
    side_add(live ? &o->adds : &o->removes, file);
}

/* Within one commit the order of lines means nothing: an add stands before a remove of the same key (Delta
 * protocol, Action Reconciliation). */
void delta_overlay_apply(DeltaOverlay *overlay, const DeltaAction *actions, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (actions[i].kind == DELTA_ACTION_ADD) {
            apply_file(overlay, &actions[i].file, true);
        }
    }
    for (size_t i = 0; i < n; i++) {
        if (actions[i].kind == DELTA_ACTION_REMOVE) {
            apply_file(overlay, &actions[i].file, false);
        }
    }
}

DeltaOverlay *delta_overlay_new(Duck *duck, const char *root)
{
    DeltaOverlay *o = mem_alloc(sizeof *o);

    o->duck = duck;
    o->root = mem_strdup(root);
    o->arena = arena_new();
    o->key = TEXT(KEY_BYTES_MAX);
    o->adds.overlay = o->removes.overlay = o;
    pthread_mutex_init(&o->lock, NULL);
    slots_grow(o);
    return o;
}

void delta_overlay_free(DeltaOverlay *o)
{
    if (o == NULL) {
        return;
    }
    if (o->id != 0) {
        registry_remove(o->id);
    }
    if (o->adds.handle != 0) {
        duck_relation_drop(o->duck, o->adds.handle);
    }
    if (o->removes.handle != 0) {
        duck_relation_drop(o->duck, o->removes.handle);
    }
    mem_free(o->adds.files);
    mem_free(o->removes.files);
    mem_free(o->entries);
    mem_free(o->slots);
    mem_free(o->root);
    text_free(&o->key);
    arena_free(o->arena);
    pthread_mutex_destroy(&o->lock);
    mem_free(o);
}

size_t delta_overlay_entries(const DeltaOverlay *overlay)
{
    return overlay->n;
}

size_t delta_overlay_adds(const DeltaOverlay *overlay)
{
    return overlay->adds.n;
}

const DeltaFile *delta_overlay_add_at(const DeltaOverlay *overlay, size_t i)
{
    return overlay->adds.files[i];
}

const DeltaFile *delta_overlay_remove_at(const DeltaOverlay *overlay, size_t i)
{
    return overlay->removes.files[i];
}

/* ---- freshet_log_shadowed ---- */

static Status shadowed_call(const DuckScalarArgs *args, Error *err)
{
    const int64_t *ids = args->inputs[0].data;
    const DuckString *paths = args->inputs[1].data, *dvs = args->inputs[2].data;
    uint8_t *result = args->output->data;
    Text key = TEXT(KEY_BYTES_MAX);
    const DeltaOverlay *o = NULL;
    int64_t last = -1;
    size_t slot;
    Status rc = OK;

    for (size_t i = 0; i < args->rows; i++) {
        if (o == NULL || ids[i] != last) {
            last = ids[i];
            o = registry_find((uint64_t)last);
            if (o == NULL) {
                rc = error_set(err, E_INTERNAL, "freshet_log_shadowed: no overlay %" PRId64, last);
                goto out;
            }
        }
        append_key(o->root, duck_string_data(&paths[i]), duck_string_length(&paths[i]), duck_string_data(&dvs[i]),
                   duck_string_length(&dvs[i]), &key);
        result[i] = entry_find(o, key.data, key.length, hash_bytes(key.data, key.length), &slot) != NULL;
    }
out:
    text_free(&key);
    return rc;
}

Status delta_overlay_register(Duck *duck, Error *err)
{
    static const char *const parameters[] = {"BIGINT", "VARCHAR", "VARCHAR"};
    DuckScalar scalar = {
        .name = "freshet_log_shadowed",
        .parameters = parameters,
        .n_parameters = 3,
        .returns = "BOOLEAN",
        .is_volatile = true,
        .call = shadowed_call,
    };

    return duck_register_scalar(duck, &scalar, err);
}

void delta_overlay_filter_sql(DeltaOverlay *overlay, const char *path_sql, const char *dv_id_sql, Text *out)
{
    pthread_mutex_lock(&overlay->lock);
    if (overlay->id == 0) {
        overlay->id = registry_add(overlay);
    }
    pthread_mutex_unlock(&overlay->lock);
    text_printf(out, "NOT freshet_log_shadowed(%" PRIu64 "::BIGINT, %s, %s)", overlay->id, path_sql, dv_id_sql);
}

/* ---- the relations ---- */

static const DuckType TYPE_TEXT = {.id = DUCK_VARCHAR}, TYPE_LONG = {.id = DUCK_BIGINT},
                      TYPE_INT = {.id = DUCK_INTEGER}, TYPE_BOOL = {.id = DUCK_BOOLEAN};
static const DuckTypeMember MAP_MEMBERS[] = {{"key", &TYPE_TEXT}, {"value", &TYPE_TEXT}};
static const DuckType TYPE_MAP = {.id = DUCK_MAP, .members = MAP_MEMBERS, .n_members = 2};
static const DuckTypeMember DV_MEMBERS[] = {{"storage_type", &TYPE_TEXT},
                                            {"path_or_inline", &TYPE_TEXT},
                                            {"offset", &TYPE_INT},
                                            {"size_bytes", &TYPE_INT},
                                            {"cardinality", &TYPE_LONG}};
static const DuckType TYPE_DV = {.id = DUCK_STRUCT, .members = DV_MEMBERS, .n_members = 5};

typedef enum Column {
    C_PATH,
    C_PARTITION_VALUES,
    C_SIZE,
    C_MODIFICATION_TIME,
    C_STATS,
    C_DV,
    C_BASE_ROW_ID,
    C_ROW_COMMIT_VERSION,
    C_TAGS,
    C_CLUSTERING_PROVIDER,
    C_ADD_COLUMNS,
    C_DELETION_TIMESTAMP = C_ADD_COLUMNS,
    C_DATA_CHANGE,
    C_EXTENDED,
    C_REMOVE_COLUMNS,
} Column;

static const DuckColumnInfo COLUMNS[C_REMOVE_COLUMNS] = {
    [C_PATH] = {"path", &TYPE_TEXT},
    [C_PARTITION_VALUES] = {"partition_values", &TYPE_MAP},
    [C_SIZE] = {"size", &TYPE_LONG},
    [C_MODIFICATION_TIME] = {"modification_time", &TYPE_LONG},
    [C_STATS] = {"stats", &TYPE_TEXT},
    [C_DV] = {"dv", &TYPE_DV},
    [C_BASE_ROW_ID] = {"base_row_id", &TYPE_LONG},
    [C_ROW_COMMIT_VERSION] = {"default_row_commit_version", &TYPE_LONG},
    [C_TAGS] = {"tags", &TYPE_TEXT},
    [C_CLUSTERING_PROVIDER] = {"clustering_provider", &TYPE_TEXT},
    [C_DELETION_TIMESTAMP] = {"deletion_timestamp", &TYPE_LONG},
    [C_DATA_CHANGE] = {"data_change", &TYPE_BOOL},
    [C_EXTENDED] = {"extended_metadata", &TYPE_BOOL},
};

typedef struct Scan {
    const Side *side;
    size_t n_wanted;
    size_t wanted[C_REMOVE_COLUMNS];
    _Atomic size_t next; /* files are claimed in blocks */
} Scan;

static void put_text(DuckColumn *c, size_t row, const char *s)
{
    if (s != NULL) {
        duck_column_set_string(c, row, s, strlen(s));
    } else {
        duck_column_set_null(c, row);
    }
}

static void put_long(DuckColumn *c, size_t row, int64_t value, bool null)
{
    if (null) {
        duck_column_set_null(c, row);
    } else {
        ((int64_t *)c->data)[row] = value;
    }
}

static Status put_partitions(DuckColumn *c, const DeltaFile *const *files, size_t rows, Error *err)
{
    DuckListEntry *entries = c->data;
    uint64_t total = 0;
    Status rc = OK;

    for (size_t i = 0; i < rows; i++) {
        entries[i] = (DuckListEntry){.offset = total, .length = files[i]->n_partition_values};
        total += files[i]->n_partition_values;
    }
    TRY(duck_column_list_reserve(c, total, err));
    DuckColumn pair = duck_column_child(c, 0);
    DuckColumn key = duck_column_child(&pair, 0), value = duck_column_child(&pair, 1);
    for (size_t i = 0; i < rows; i++) {
        for (size_t k = 0; k < files[i]->n_partition_values; k++) {
            put_text(&key, entries[i].offset + k, files[i]->partition_values[k].key);
            put_text(&value, entries[i].offset + k, files[i]->partition_values[k].value);
        }
    }
    duck_column_list_set_size(c, total);
out:
    return rc;
}

static void put_dv(DuckColumn *c, const DeltaFile *const *files, size_t rows)
{
    DuckColumn type = duck_column_child(c, 0), path = duck_column_child(c, 1), offset = duck_column_child(c, 2);
    DuckColumn size = duck_column_child(c, 3), cardinality = duck_column_child(c, 4);

    for (size_t i = 0; i < rows; i++) {
        const DeltaDeletionVector *dv = files[i]->deletion_vector;
        if (dv == NULL) {
            duck_column_set_null(c, i);
            duck_column_set_null(&type, i);
            duck_column_set_null(&path, i);
            duck_column_set_null(&offset, i);
            duck_column_set_null(&size, i);
            duck_column_set_null(&cardinality, i);
            continue;
        }
        duck_column_set_string(&type, i, &dv->storage_type, 1);
        put_text(&path, i, dv->path_or_inline);
        if (dv->has_offset) {
            ((int32_t *)offset.data)[i] = dv->offset;
        } else {
            duck_column_set_null(&offset, i);
        }
        ((int32_t *)size.data)[i] = dv->size_bytes;
        ((int64_t *)cardinality.data)[i] = dv->cardinality;
    }
}

static void put_scalar(DuckColumn *c, size_t row, Column column, const DeltaFile *f)
{
    switch (column) {
    case C_PATH: put_text(c, row, f->path); break;
    case C_SIZE: put_long(c, row, f->size, false); break;
    case C_MODIFICATION_TIME: put_long(c, row, f->modification_time, false); break;
    case C_STATS: put_text(c, row, f->stats); break;
    case C_BASE_ROW_ID: put_long(c, row, f->base_row_id, f->base_row_id < 0); break;
    case C_ROW_COMMIT_VERSION:
        put_long(c, row, f->default_row_commit_version, f->default_row_commit_version < 0);
        break;
    case C_TAGS: put_text(c, row, f->tags); break;
    case C_CLUSTERING_PROVIDER: put_text(c, row, f->clustering_provider); break;
    case C_DELETION_TIMESTAMP: put_long(c, row, f->deletion_timestamp, false); break;
    case C_DATA_CHANGE: ((uint8_t *)c->data)[row] = f->data_change; break;
    case C_EXTENDED: ((uint8_t *)c->data)[row] = f->extended_metadata; break;
    case C_PARTITION_VALUES:
    case C_DV:
    case C_REMOVE_COLUMNS: break; /* nested: filled by column */
    }
}

static Status side_open(void *context, const size_t *wanted, size_t n_wanted, void **out, Error *err)
{
    Scan *scan = mem_alloc(sizeof *scan);

    (void)err;
    scan->side = context;
    scan->n_wanted = n_wanted;
    memcpy(scan->wanted, wanted, n_wanted * sizeof *wanted);
    *out = scan;
    return OK;
}

static Status side_next(void *context, void *thread, DuckColumn *columns, size_t *rows, Error *err)
{
    Scan *scan = context;
    size_t start = atomic_fetch_add(&scan->next, DUCK_VECTOR_ROWS);
    Status rc = OK;

    (void)thread;
    size_t n = start < scan->side->n ? scan->side->n - start : 0;
    n = n > DUCK_VECTOR_ROWS ? DUCK_VECTOR_ROWS : n;
    const DeltaFile *const *files = n > 0 ? scan->side->files + start : NULL;
    for (size_t k = 0; k < scan->n_wanted && n > 0; k++) {
        Column column = (Column)scan->wanted[k];
        if (column == C_PARTITION_VALUES) {
            TRY(put_partitions(&columns[k], files, n, err));
        } else if (column == C_DV) {
            put_dv(&columns[k], files, n);
        } else {
            for (size_t i = 0; i < n; i++) {
                put_scalar(&columns[k], i, column, files[i]);
            }
        }
    }
    *rows = n;
out:
    return rc;
}

static void side_sql(Side *side, size_t n_columns, Text *out)
{
    DeltaOverlay *o = side->overlay;

    pthread_mutex_lock(&o->lock);
    if (side->handle == 0) {
        DuckRelation relation = {
            .columns = COLUMNS,
            .n_columns = n_columns,
            .rows_estimate = (int64_t)side->n,
            .threads_max = 1,
            .open = side_open,
            .next = side_next,
            .close = mem_free,
            .context = side,
        };
        side->handle = duck_relation_register(o->duck, &relation);
    }
    pthread_mutex_unlock(&o->lock);
    text_append(out, "SELECT ");
    for (size_t i = 0; i < n_columns; i++) {
        text_append(out, i > 0 ? ", " : "");
        text_append(out, COLUMNS[i].name);
    }
    text_printf(out, " FROM freshet_relation(%" PRIu64 ")", side->handle);
}

void delta_overlay_adds_sql(DeltaOverlay *overlay, Text *out)
{
    side_sql(&overlay->adds, C_ADD_COLUMNS, out);
}

void delta_overlay_removes_sql(DeltaOverlay *overlay, Text *out)
{
    side_sql(&overlay->removes, C_REMOVE_COLUMNS, out);
}
