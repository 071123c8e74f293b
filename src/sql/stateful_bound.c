/* Time bounds between streams, read from the conditions of a join.
 *
 * A conjunct such as l.ts >= r.ts - INTERVAL '5 minutes' says how much later than a row of one side a partner from
 * another can be: r.ts <= l.ts + 5 minutes. All of them together are a graph of differences, D[i][j] the most by which
 * a row of side j can be later than its partner of side i, and its shortest paths hold for sides that no conjunct
 * compares directly. Rows that still arrive have event time > W, the watermark, so a row of side i has met all its
 * partners when its event time + max D[i][j] <= W.
 *
 * Whether a bound includes its end makes no difference: times of states are whole microseconds, watermarks whole
 * milliseconds, and < is taken as <=, which only ever keeps a row longer. A month counts as what keeps it longest, and
 * so does a day where the session's time zone has days of other lengths.
 */
#include <string.h>

#include "sql/stateful_join.h"

enum { ZONE_SHIFT_US = 7200000000 }; /* by how much a day can be longer or shorter than 24 hours: 2 hours */
static const int64_t DAY_US = 86400000000;

/* plus - minus + [low, high]: sides by number, NO_SIDE for none. */
enum { NO_SIDE = -1 };
typedef struct Linear {
    int plus, minus;
    bool window; /* a side's window as a whole: only equality says something */
    int64_t low, high;
} Linear;

static bool add_range(Linear *a, int64_t low, int64_t high)
{
    return !__builtin_add_overflow(a->low, low, &a->low) && !__builtin_add_overflow(a->high, high, &a->high);
}

/* An interval as microseconds, from the shortest to the longest it can be. */
static bool interval_range(const Bounds *b, const Interval *interval, int64_t *low, int64_t *high)
{
    int64_t shortest = interval->months >= 0 ? 28 : 31, longest = interval->months >= 0 ? 31 : 28, days = 0;
    int64_t shift = b->uneven_days && (interval->months || interval->days) ? ZONE_SHIFT_US : 0;
    return !__builtin_mul_overflow(interval->months, shortest, &days) &&
           !__builtin_add_overflow(days, interval->days, &days) && !__builtin_mul_overflow(days, DAY_US, low) &&
           !__builtin_add_overflow(*low, interval->us, low) && !__builtin_sub_overflow(*low, shift, low) &&
           !__builtin_mul_overflow(interval->months, longest, &days) &&
           !__builtin_add_overflow(days, interval->days, &days) && !__builtin_mul_overflow(days, DAY_US, high) &&
           !__builtin_add_overflow(*high, interval->us, high) && !__builtin_add_overflow(*high, shift, high);
}

/* a + sign * b; false when more than one side would stand on either hand. */
static bool combine(Linear *a, const Linear *b, bool subtract)
{
    int plus = subtract ? b->minus : b->plus, minus = subtract ? b->plus : b->minus;
    int64_t low = subtract ? -b->high : b->low, high = subtract ? -b->low : b->high;
    if (plus != NO_SIDE && plus == a->minus) {
        a->minus = plus = NO_SIDE;
    }
    if (minus != NO_SIDE && minus == a->plus) {
        a->plus = minus = NO_SIDE;
    }
    if ((plus != NO_SIDE && a->plus != NO_SIDE) || (minus != NO_SIDE && a->minus != NO_SIDE) || a->window ||
        b->window) {
        return false;
    }
    a->plus = plus != NO_SIDE ? plus : a->plus;
    a->minus = minus != NO_SIDE ? minus : a->minus;
    return add_range(a, low, high);
}

/* The side whose watermark the expression carries; its column is the one that counts from the first use on. */
static int carrier_side(Bounds *b, const json_t *node, Carries *carries)
{
    for (size_t i = 0; i < b->n_sides; i++) {
        Scope scope = {.sources = SQL_LIST(Source)};
        *(Source *)sql_list_add(&scope.sources) = *b->sides[i].source;
        size_t skip = 0;
        bool other = is_column_ref(node) && scope_source(b->scope, node, &skip) &&
                     scope_source(b->scope, node, &skip) != b->sides[i].source;
        Column column = lineage_of(&scope, node);
        sql_list_fini(&scope.sources);
        if (other || column.carries == CARRIES_NOTHING) {
            continue;
        }
        if (!b->sides[i].time) {
            b->sides[i].time = node;
            b->sides[i].carries = column.carries;
        } else if (!tree_equal(b->scope, b->sides[i].time, node)) {
            continue;
        }
        *carries = column.carries;
        return (int)i;
    }
    return NO_SIDE;
}

static Status read_linear(Bounds *b, const json_t *node, Linear *out, bool *is_linear, Error *err)
{
    const json_t *children = json_object_get(node, "children");
    const char *name = sql_tree_string(node, "function_name");
    size_t n = json_array_size(children);
    Carries carries = CARRIES_NOTHING;
    Interval interval = {0};
    bool constant = false;
    Status rc = OK;

    *out = (Linear){.plus = NO_SIDE, .minus = NO_SIDE};
    *is_linear = false;
    out->plus = carrier_side(b, node, &carries);
    if (out->plus != NO_SIDE) {
        out->window = carries == CARRIES_WINDOW;
        *is_linear = true;
        return OK;
    }
    if (sql_tree_is(node, "class", "FUNCTION") && (strcmp(name, "+") == 0 || strcmp(name, "-") == 0)) {
        Linear sum = {.plus = NO_SIDE, .minus = NO_SIDE}, term;
        bool all = true;
        for (size_t i = 0; i < n && all; i++) {
            TRY(read_linear(b, json_array_get(children, i), &term, &all, err));
            all = all && combine(&sum, &term, strcmp(name, "-") == 0 && (i > 0 || n == 1));
        }
        if (all) {
            *out = sum;
            *is_linear = true;
            return OK;
        }
    }
    TRY(read_interval(b->p, node, &interval, &constant, err));
    *is_linear = constant && interval_range(b, &interval, &out->low, &out->high);
out:
    return rc;
}

/* small <= large. */
static void add_bound(Bounds *b, const Linear *small, const Linear *large)
{
    Linear difference = *small;
    if (!combine(&difference, large, true) || difference.plus == NO_SIDE || difference.minus == NO_SIDE) {
        return;
    }
    /* plus - minus + c <= 0: plus is at most -c later, for the smallest c */
    int64_t *known = &b->later[difference.minus][difference.plus];
    if (difference.low != INT64_MIN && -difference.low < *known) {
        *known = -difference.low;
    }
}

static Status compare(Bounds *b, const json_t *left, const json_t *right, bool le, bool ge, Error *err)
{
    Linear l, r;
    bool left_ok = false, right_ok = false;
    Status rc = OK;
    TRY(read_linear(b, left, &l, &left_ok, err));
    TRY(read_linear(b, right, &r, &right_ok, err));
    if (!left_ok || !right_ok || l.window != r.window) {
        return OK;
    }
    if (l.window) {
        if (!le || !ge) {
            return OK; /* windows are ordered by their starts */
        }
        l.window = r.window = false;
    }
    if (le) {
        add_bound(b, &l, &r);
    }
    if (ge) {
        add_bound(b, &r, &l);
    }
out:
    return rc;
}

Status bounds_add(Bounds *b, const json_t *conjunct, Error *err)
{
    static const struct {
        const char *type;
        bool le, ge;
    } COMPARES[] = {{"COMPARE_EQUAL", true, true},        {"COMPARE_NOT_DISTINCT_FROM", true, true},
                    {"COMPARE_LESSTHAN", true, false},    {"COMPARE_LESSTHANOREQUALTO", true, false},
                    {"COMPARE_GREATERTHAN", false, true}, {"COMPARE_GREATERTHANOREQUALTO", false, true}};
    Status rc = OK;
    if (sql_tree_is(conjunct, "class", "BETWEEN")) {
        const json_t *input = json_object_get(conjunct, "input");
        TRY(compare(b, json_object_get(conjunct, "lower"), input, true, false, err));
        TRY(compare(b, input, json_object_get(conjunct, "upper"), true, false, err));
    }
    for (size_t i = 0; i < sizeof COMPARES / sizeof *COMPARES; i++) {
        if (sql_tree_is(conjunct, "type", COMPARES[i].type)) {
            TRY(compare(b, json_object_get(conjunct, "left"), json_object_get(conjunct, "right"), COMPARES[i].le,
                        COMPARES[i].ge, err));
        }
    }
out:
    return rc;
}

Status bounds_begin(Bounds *b, Planner *p, const Scope *scope, BoundSide *sides, size_t n_sides, Error *err)
{
    DuckResult *result = NULL;
    bool more = false;
    size_t n = 0;
    Status rc = OK;
    *b = (Bounds){.p = p, .scope = scope, .sides = sides, .n_sides = n_sides};
    for (size_t i = 0; i < JOIN_SIDES_MAX; i++) {
        for (size_t j = 0; j < JOIN_SIDES_MAX; j++) {
            b->later[i][j] = NEVER;
        }
    }
    TRY(duck_query(p->conn, "SELECT current_setting('TimeZone')", &result, err));
    TRY(duck_result_next(result, &more, err));
    const char *zone = more ? duck_result_text(result, 0, &n) : NULL;
    b->uneven_days = !zone || n != 3 || memcmp(zone, "UTC", 3) != 0;
out:
    duck_result_free(result);
    return rc;
}

void bounds_same(Bounds *b, size_t i, size_t j)
{
    b->later[i][j] = b->later[i][j] < 0 ? b->later[i][j] : 0;
    b->later[j][i] = b->later[j][i] < 0 ? b->later[j][i] : 0;
}

void bounds_close(Bounds *b)
{
    for (size_t k = 0; k < b->n_sides; k++) {
        for (size_t i = 0; i < b->n_sides; i++) {
            for (size_t j = 0; j < b->n_sides; j++) {
                int64_t through = 0;
                if (b->later[i][k] != NEVER && b->later[k][j] != NEVER &&
                    !__builtin_add_overflow(b->later[i][k], b->later[k][j], &through) && through < b->later[i][j]) {
                    b->later[i][j] = through;
                }
            }
        }
    }
}

bool bounds_slack(const Bounds *b, size_t side, int64_t *out)
{
    int64_t most = INT64_MIN;
    for (size_t j = 0; j < b->n_sides; j++) {
        if (j != side && b->later[side][j] == NEVER) {
            return false;
        }
        most = j != side && b->later[side][j] > most ? b->later[side][j] : most;
    }
    *out = most;
    return true;
}
