/* Where a parsed value goes: the columns of one chunk as a tree that follows the schema.
 *
 * A tree belongs to one thread. It is made from the Delta types once, bound to the vectors of a chunk before the
 * chunk is filled, and told about nulls row by row. A node that is not `wanted` has no vector: values are checked
 * against its type and then forgotten.
 */
#ifndef FRESHET_SOURCE_VALUE_NODE_H
#define FRESHET_SOURCE_VALUE_NODE_H

#include "delta/schema.h"
#include "duck/function.h"

typedef struct TimePattern TimePattern; /* source/time_pattern.h */
typedef struct ValueKeys ValueKeys;     /* how the fields of a STRUCT are found by name: below */
typedef struct ValueNode ValueNode;

struct ValueNode {
    DeltaTypeId type;
    uint8_t precision, scale; /* DECIMAL */
    bool wanted;
    bool in_list; /* below a list: the null bits of its rows are not reset for every chunk */
    DuckColumn column;
    DuckColumn entry;        /* MAP: the STRUCT(key, value) of its entries */
    uint64_t size, capacity; /* ARRAY, MAP: entries of the child in use, and room */
    ValueNode *children;     /* STRUCT: fields in order; ARRAY: the element; MAP: key, value */
    size_t n_children;
    ValueKeys *keys;            /* STRUCT */
    const TimePattern *pattern; /* DATE, TIMESTAMP: how text is read; NULL = ISO 8601 */
};

/* A field's name as a reader of JSON meets it. */
typedef struct ValueKey {
    const char *quoted; /* "name" with its quotes, then VALUE_KEY_PAD bytes of nothing */
    uint32_t n_quoted;  /* 0: the name has bytes that JSON escapes, never compared as it stands */
    uint32_t mask;      /* its first 16 bytes as a bit mask; out of reach when it is longer or not to be compared */
    uint32_t n_name;
    uint32_t next; /* the field that came after this one the last time */
} ValueKey;

struct ValueKeys {
    ValueKey *fields; /* n_children, then one more whose `next` is the first field of a record */
    const char **names;
    uint32_t *slots; /* hash table of field + 1 */
    size_t n_slots;  /* a power of two */
    uint64_t *seen;  /* bit per field: met in the record being read */
    size_t n_seen;   /* words */
};

enum { VALUE_KEY_PAD = 16, VALUE_KEY_NEVER = 1 << 16 };
#define VALUE_NO_FIELD UINT32_MAX

/* Everything is allocated in `arena`; the type is copied. */
void value_node_init(ValueNode *node, const DeltaType *type, Arena *arena);
/* A STRUCT made of the fields of a schema. */
void value_node_init_fields(ValueNode *node, const DeltaField *fields, size_t n, Arena *arena);

/* Before a chunk: the node writes to `column` from now on, lists begin empty. */
void value_node_bind(ValueNode *node, const DuckColumn *column);

/* After a chunk was filled: lists hold what was put in them and no more. */
void value_node_settle(ValueNode *node);

/* The field of that name, exactly; VALUE_NO_FIELD. */
uint32_t value_node_field(const ValueNode *node, const char *name, size_t n);
/* The same without regard to case (ASCII). */
uint32_t value_node_field_nocase(const ValueNode *node, const char *name, size_t n);

/* Null at `row`, with all that lies inside it. */
void value_set_null(ValueNode *node, uint64_t row);
/* Makes a row valid again that was, or may have been, null before. */
void value_set_valid(ValueNode *node, uint64_t row);
/* Makes room for one more entry of a list or map. */
Status value_list_grow(ValueNode *node, Error *err);

static inline void value_mark_valid(ValueNode *node, uint64_t row)
{
    if (node->in_list && node->wanted) {
        node->column.validity[row >> 6] |= (uint64_t)1 << (row & 63);
    }
}

/* A string whose bytes stay where they are until the chunk is consumed (the thread's next chunk). */
static inline void value_borrow_string(ValueNode *node, uint64_t row, const char *s, size_t n)
{
    if (!node->wanted) {
        return;
    }
    value_mark_valid(node, row);
    if (n <= 12) {
        duck_column_set_string(&node->column, row, s, n);
        return;
    }
    DuckString *d = (DuckString *)node->column.data + row;
    d->pointer.length = (uint32_t)n;
    memcpy(d->pointer.prefix, s, sizeof d->pointer.prefix);
    d->pointer.data = (char *)(uintptr_t)s;
}

static inline void value_copy_string(ValueNode *node, uint64_t row, const char *s, size_t n)
{
    if (node->wanted) {
        value_mark_valid(node, row);
        duck_column_set_string(&node->column, row, s, n);
    }
}

#endif
