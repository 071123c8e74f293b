/* Until files.c brings the file source: reading files is refused. The file source replaces this file. */
#include "source/sources.h"

Status source_files_open(const StreamSourceContext *context, const char *place, const StreamOption *options, size_t n,
                         StreamSource **out, Error *err)
{
    (void)context;
    (void)options;
    (void)n;
    (void)out;
    return error_set(err, E_SOURCE_FORMAT, "%s: files cannot be read as a stream yet", place);
}

Status source_files_relation(Duck *duck, DuckConn *conn, const char *place, const StreamOption *options, size_t n,
                             StreamRelation *out, char **listing, Error *err)
{
    (void)duck;
    (void)conn;
    (void)options;
    (void)n;
    (void)out;
    (void)listing;
    return error_set(err, E_SOURCE_FORMAT, "%s: files cannot be read yet", place);
}
