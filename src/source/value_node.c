#include "source/value_node.h"

#include "base/map.h"
#include "base/mem.h"

enum { LIST_ROOM_MIN = DUCK_VECTOR_ROWS };

static bool is_plain_key(const char *name)
{
    for (const unsigned char *c = (const unsigned char *)name; *c; c++) {
        if (*c < 0x20 || *c == '"' || *c == '\\') {
            return false;
        }
    }
    return true;
}

static ValueKey make_key(const char *name, uint32_t next, Arena *arena)
{
    uint32_t n = (uint32_t)strlen(name), n_quoted = n + 2;
    char *quoted = arena_alloc(arena, n_quoted + VALUE_KEY_PAD);
    quoted[0] = '"';
    memcpy(quoted + 1, name, n);
    quoted[n + 1] = '"';
    if (!is_plain_key(name)) {
        return (ValueKey){quoted, 0, VALUE_KEY_NEVER, n, next};
    }
    uint32_t mask = n_quoted <= VALUE_KEY_PAD ? (1u << n_quoted) - 1 : VALUE_KEY_NEVER;
    return (ValueKey){quoted, n_quoted, mask, n, next};
}

static void add_key(ValueKeys *keys, uint32_t field, const char *name, Arena *arena)
{
    size_t n = strlen(name);
    keys->names[field] = arena_strdup(arena, name);
    keys->fields[field] = make_key(name, field + 1, arena);

    size_t slot = hash_bytes(name, n) & (keys->n_slots - 1);
    while (keys->slots[slot] != 0) {
        slot = (slot + 1) & (keys->n_slots - 1);
    }
    keys->slots[slot] = field + 1;
}

/* The fields are expected in the order of the schema at first. */
static ValueKeys *keys_new(const DeltaField *fields, size_t n, Arena *arena)
{
    ValueKeys *keys = arena_alloc(arena, sizeof *keys);
    keys->n_slots = 4;
    while (keys->n_slots < n * 2) {
        keys->n_slots *= 2;
    }
    keys->slots = arena_alloc(arena, keys->n_slots * sizeof *keys->slots);
    keys->fields = arena_alloc(arena, (n + 1) * sizeof *keys->fields);
    keys->names = arena_alloc(arena, (n + 1) * sizeof *keys->names);
    keys->n_seen = n / 64 + 1;
    keys->seen = arena_alloc(arena, keys->n_seen * sizeof *keys->seen);
    for (uint32_t i = 0; i < n; i++) {
        add_key(keys, i, fields[i].name, arena);
    }
    keys->fields[n] = (ValueKey){.quoted = arena_alloc(arena, VALUE_KEY_PAD), .mask = VALUE_KEY_NEVER};
    return keys;
}

static void init(ValueNode *node, const DeltaType *type, bool in_list, Arena *arena);

static void init_children(ValueNode *node, const DeltaField *fields, size_t n, bool in_list, Arena *arena)
{
    node->children = arena_alloc(arena, (n > 0 ? n : 1) * sizeof *node->children);
    node->n_children = n;
    for (size_t i = 0; i < n; i++) {
        init(&node->children[i], fields[i].type, in_list, arena);
    }
}

static void init(ValueNode *node, const DeltaType *type, bool in_list, Arena *arena)
{
    *node = (ValueNode){.type = type->id, .precision = type->precision, .scale = type->scale, .in_list = in_list};
    if (type->id == DELTA_STRUCT) {
        init_children(node, type->fields, type->n_fields, in_list, arena);
        node->keys = keys_new(type->fields, type->n_fields, arena);
    } else if (type->id == DELTA_ARRAY || type->id == DELTA_MAP) {
        init_children(node, type->fields, type->n_fields, true, arena);
    }
}

void value_node_init(ValueNode *node, const DeltaType *type, Arena *arena)
{
    init(node, type, false, arena);
}

void value_node_init_fields(ValueNode *node, const DeltaField *fields, size_t n, Arena *arena)
{
    value_node_init(node, &(DeltaType){.id = DELTA_STRUCT, .fields = fields, .n_fields = n}, arena);
}

/* Takes over the vectors of a column and of its children; what lists hold already stays. */
static void point_to(ValueNode *node, const DuckColumn *column)
{
    const DuckColumn *parent = column;

    node->wanted = true;
    node->column = *column;
    if (node->type == DELTA_MAP) {
        node->entry = duck_column_child(column, 0);
        parent = &node->entry;
    }
    for (size_t i = 0; i < node->n_children; i++) {
        DuckColumn child = duck_column_child(parent, i);
        point_to(&node->children[i], &child);
    }
}

static void empty_lists(ValueNode *node)
{
    node->size = node->capacity = 0;
    for (size_t i = 0; i < node->n_children; i++) {
        empty_lists(&node->children[i]);
    }
}

void value_node_bind(ValueNode *node, const DuckColumn *column)
{
    empty_lists(node);
    point_to(node, column);
}

void value_node_settle(ValueNode *node)
{
    if (!node->wanted) {
        return;
    }
    if (node->type == DELTA_ARRAY || node->type == DELTA_MAP) {
        duck_column_list_set_size(&node->column, node->size);
    }
    for (size_t i = 0; i < node->n_children; i++) {
        value_node_settle(&node->children[i]);
    }
}

uint32_t value_node_field(const ValueNode *node, const char *name, size_t n)
{
    const ValueKeys *keys = node->keys;
    for (size_t slot = hash_bytes(name, n) & (keys->n_slots - 1); keys->slots[slot] != 0;
         slot = (slot + 1) & (keys->n_slots - 1)) {
        uint32_t field = keys->slots[slot] - 1;
        if (keys->fields[field].n_name == n && memcmp(keys->names[field], name, n) == 0) {
            return field;
        }
    }
    return VALUE_NO_FIELD;
}

uint32_t value_node_field_nocase(const ValueNode *node, const char *name, size_t n)
{
    for (uint32_t i = 0; i < node->n_children; i++) {
        if (node->keys->fields[i].n_name == n && strncasecmp(node->keys->names[i], name, n) == 0) {
            return i;
        }
    }
    return VALUE_NO_FIELD;
}

void value_set_null(ValueNode *node, uint64_t row)
{
    if (!node->wanted) {
        return;
    }
    duck_column_set_null(&node->column, row);
    if (node->type == DELTA_STRUCT) {
        for (size_t i = 0; i < node->n_children; i++) {
            value_set_null(&node->children[i], row);
        }
    } else if (node->type == DELTA_ARRAY || node->type == DELTA_MAP) {
        ((DuckListEntry *)node->column.data)[row] = (DuckListEntry){node->size, 0};
    }
}

void value_set_valid(ValueNode *node, uint64_t row)
{
    if (!node->wanted) {
        return;
    }
    duck_column_set_valid(&node->column, row);
    if (node->type == DELTA_STRUCT) {
        for (size_t i = 0; i < node->n_children; i++) {
            value_set_valid(&node->children[i], row);
        }
    }
}

Status value_list_grow(ValueNode *node, Error *err)
{
    if (!node->wanted || node->size < node->capacity) {
        return OK;
    }
    uint64_t capacity = node->capacity == 0 ? LIST_ROOM_MIN : node->capacity * 2;
    Status rc = duck_column_list_reserve(&node->column, capacity, err);
    if (rc == OK) {
        DuckColumn column = node->column;
        node->capacity = capacity;
        point_to(node, &column);
    }
    return rc;
}
