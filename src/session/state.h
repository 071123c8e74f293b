/* state('table', step => 0, relation => 'groups', batch => 7, flow => 'name'): what the flow of a table remembers. */
#ifndef FRESHET_SESSION_STATE_H
#define FRESHET_SESSION_STATE_H

#include "session/relation.h"

extern const StreamOptionSpec STATE_OPTIONS[];
extern const size_t STATE_OPTIONS_COUNT;

/* As relation_resolve. The pin is "<checkpoint>@<batch>". */
Status state_relation(const RelationReader *reader, const SqlRelation *relation, const char *pinned,
                      StreamRelation *out, char **pin, Error *err);

#endif
