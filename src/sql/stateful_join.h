/* Time bounds between the sides of a join of streams (stateful_bound.c), for its planner (stateful_join.c). */
#ifndef FRESHET_SQL_STATEFUL_JOIN_H
#define FRESHET_SQL_STATEFUL_JOIN_H

#include "sql/stateful_int.h"

enum { JOIN_SIDES_MAX = 16 };
#define NEVER INT64_MAX

typedef struct BoundSide {
    const Source *source;
    const json_t *time; /* the expression that carries its watermark, once one is used; NULL: none yet */
    Carries carries;
} BoundSide;

typedef struct Bounds {
    Planner *p;
    const Scope *scope;
    BoundSide *sides;
    size_t n_sides;
    bool uneven_days; /* the time zone of the session has days that are not 24 hours long */
    int64_t later[JOIN_SIDES_MAX][JOIN_SIDES_MAX]; /* [i][j]: by how much j can be later than i at most; NEVER: any */
} Bounds;

Status bounds_begin(Bounds *b, Planner *p, const Scope *scope, BoundSide *sides, size_t n_sides, Error *err);
/* Takes what a conjunct of the condition says; most say nothing. */
Status bounds_add(Bounds *b, const json_t *conjunct, Error *err);
/* Both sides' times are equal: USING. */
void bounds_same(Bounds *b, size_t i, size_t j);
/* Makes `later` hold for sides that are compared over others. */
void bounds_close(Bounds *b);
/* How long after the event time of a row of `side` the last partner can come; false when there is no end. */
bool bounds_slack(const Bounds *b, size_t side, int64_t *out);

#endif
