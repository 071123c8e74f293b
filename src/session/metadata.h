/* The hidden column _metadata of files and of tables with row tracking: it is there for the statements that name it, so
 * that SELECT * does not show it. */
#ifndef FRESHET_SESSION_METADATA_H
#define FRESHET_SESSION_METADATA_H

#include "sql/query.h"
#include "stream/source.h"

/* Does the statement around `span` name _metadata? Strings and comments do not count. */
bool metadata_is_named(const SqlText *text, SqlSpan span);

/* The same, but what stands as another.name._metadata does not count. `alias`: as in SqlRelation. */
bool metadata_is_named_for(const SqlText *text, SqlSpan span, const char *alias);

/* The option that has a file source add the column. */
StreamOption metadata_option(void);

#endif
