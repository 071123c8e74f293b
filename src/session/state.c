#include "session/state.h"

#include <string.h>

#include "base/mem.h"
#include "stream/state_view.h"

const StreamOptionSpec STATE_OPTIONS[] = {
    {"step", STREAM_OPTION_LONG, NULL, NULL, 0,
     "One step of the query, counted from 0 in the order `freshet check` prints them; without it all are shown."},
    {"relation", STREAM_OPTION_TEXT, NULL, NULL, 0,
     "One of the relations in which a step keeps its rows: groups, keys, side0, ..."},
    {"batch", STREAM_OPTION_LONG, NULL, NULL, 0,
     "The state after this batch, as long as it is kept (freshet.state.retainBatches); without it after the newest."},
    {"flow", STREAM_OPTION_TEXT, NULL, NULL, 0,
     "Which flow, where several write the table; without it the one of the table's own AS."},
};
const size_t STATE_OPTIONS_COUNT = sizeof STATE_OPTIONS / sizeof *STATE_OPTIONS;

/* ---- which flow ---- */

typedef struct Flows {
    const char *wanted; /* NULL: the table's own, or the only one */
    const char *own;
    Text names, folder;
    char *chosen;
    size_t n;
    bool exact;
} Flows;

static Status look_at_flow(void *context, const char *flow, const char *checkpoint, Error *err)
{
    Flows *flows = context;
    bool exact = str_ieq(flow, flows->wanted ? flows->wanted : flows->own);
    (void)err;

    text_printf(&flows->names, "%s'%s'", flows->n++ ? ", " : "", flow);
    if (exact || (!flows->wanted && !flows->exact)) {
        mem_free(flows->chosen);
        flows->chosen = mem_strdup(flow);
        text_clear(&flows->folder);
        text_append(&flows->folder, checkpoint);
        flows->exact = exact;
    }
    return OK;
}

/* The checkpoint folder of the flow that is meant. */
static Status find_flow(Warehouse *warehouse, const char *schema, const char *table, Flows *flows, Error *err)
{
    Status rc = OK;

    TRY(warehouse_each_flow(warehouse, schema, table, look_at_flow, flows, err));
    if (flows->n == 0) {
        rc = error_set(err, E_STREAM_STATE_NONE, "no flow has written %s, so nothing is remembered for it", table);
        error_hint(err, "the warehouse is %s; choose another with --warehouse", warehouse_uri(warehouse));
    } else if (!flows->exact && (flows->wanted || flows->n > 1)) {
        rc = flows->wanted ? error_set(err, E_STREAM_STATE_NONE, "%s has no flow '%s'", table, flows->wanted)
                           : error_set(err, E_STREAM_STATE_NONE, "several flows write %s", table);
        error_hint(err, "choose one with flow => ...: %s", text_str(&flows->names));
    }
out:
    return rc;
}

/* ---- the relation ---- */

static void free_view(void *owner)
{
    state_view_free(owner);
}

static int64_t number_of(const StreamOption *options, size_t n, const char *name)
{
    const char *text = stream_option_get(options, n, name);
    int64_t value = -1;

    return text && str_parse_i64(text, &value) ? value : -1;
}

static Status check_arguments(const SqlRelation *relation, Error *err)
{
    Status rc = OK;

    if (relation->n_arguments == 0 || relation->arguments[0].key || !relation->arguments[0].is_string) {
        rc = error_set(err, E_SQL_BIND, "state needs the name of a table as its first argument");
    } else if (strpbrk(relation->arguments[0].value, "/:")) {
        rc = error_set(err, E_SQL_BIND, "state() knows tables by their names in the warehouse, not by their places");
    }
    for (size_t i = 1; rc == OK && i < relation->n_arguments; i++) {
        if (!relation->arguments[i].key) {
            rc = error_set(err, E_SQL_BIND, "state has one argument without a name");
        }
    }
    if (rc != OK) {
        error_hint(err, "state('gold.hourly', step => 0, relation => 'groups')");
    }
    return rc;
}

Status state_relation(const RelationReader *reader, const SqlRelation *relation, const char *pinned,
                      StreamRelation *out, char **pin, Error *err)
{
    Arena *arena = arena_new();
    Flows flows = {.names = TEXT(65536), .folder = TEXT(1 << 16)};
    Store *checkpoint = NULL;
    StateView *view = NULL;
    Status rc = OK;

    TRY(check_arguments(relation, err));
    size_t n = relation->n_arguments - 1;
    StreamOption *options = relation_options(arena, reader->text, relation->arguments + 1, n);
    TRY(stream_options_check(options, n, STATE_OPTIONS, STATE_OPTIONS_COUNT, "state", err));
    const char *name = relation->arguments[0].value, *dot = strchr(name, '.');
    const char *schema = dot ? arena_strndup(arena, name, (size_t)(dot - name)) : reader->schema;
    flows.own = dot ? dot + 1 : name;
    flows.wanted = stream_option_get(options, n, "flow");
    TRY(warehouse_check_name(schema, flows.own, err));
    TRY(find_flow(reader->warehouse, schema, flows.own, &flows, err));
    TRY(store_open(text_str(&flows.folder), &checkpoint, err));
    bool own = str_ieq(flows.chosen, flows.own);
    StateViewSpec spec = {.checkpoint = checkpoint,
                          .flow = own ? name : arena_printf(arena, "%s/%s", name, flows.chosen),
                          .step = number_of(options, n, "step"),
                          .relation = stream_option_get(options, n, "relation"),
                          .batch = number_of(options, n, "batch")};
    const char *at = pinned ? strrchr(pinned, '@') : NULL;
    if (at) {
        (void)str_parse_i64(at + 1, &spec.batch);
    }
    TRY(state_view_open(reader->conn, &spec, &view, err));
    if (pin) {
        Text id = TEXT(1 << 17);
        text_printf(&id, "%s@%lld", text_str(&flows.folder), (long long)state_view_batch(view));
        *pin = text_take(&id);
    }
    *out = (StreamRelation){.sql = mem_strdup(state_view_sql(view)),
                            .files = state_view_files(view),
                            .bytes = state_view_bytes(view),
                            .rows = -1,
                            .owner = view,
                            .release = free_view};
    view = NULL;
out:
    state_view_free(view);
    store_unref(checkpoint);
    mem_free(flows.chosen);
    text_free(&flows.names);
    text_free(&flows.folder);
    arena_free(arena);
    return rc;
}
