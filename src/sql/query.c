/* The pieces of a rewritten query. Rewriting itself is in rewrite.c. */
#include "sql/query.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sql/query_int.h"

void sql_query_free(SqlQuery *query)
{
    if (query) {
        arena_free(query->arena);
    }
}

const char *sql_query_text(const SqlQuery *query)
{
    return query->rewritten;
}

size_t sql_query_relations(const SqlQuery *query, const SqlRelation **relations)
{
    *relations = query->relations;
    return query->n_relations;
}

void sql_query_inline(const SqlQuery *query, const char *const *replacement, Text *out)
{
    for (size_t i = 0; i < query->n_pieces; i++) {
        const SqlPiece *piece = &query->pieces[i];
        if (piece->kind == SQL_PIECE_RELATION && replacement[piece->relation]) {
            text_append(out, replacement[piece->relation]);
        } else {
            text_append_n(out, piece->data, piece->length);
        }
    }
}

/* ---- building ---- */

static void join_pieces(SqlQuery *query)
{
    size_t length = 0;
    for (size_t i = 0; i < query->n_pieces; i++) {
        length += query->pieces[i].length;
    }
    char *all = arena_alloc(query->arena, length + 1), *at = all;
    for (size_t i = 0; i < query->n_pieces; i++) {
        memcpy(at, query->pieces[i].data, query->pieces[i].length);
        at += query->pieces[i].length;
    }
    query->rewritten = all;
    query->length = length;
}

/* By place, an insertion before what it precedes, the longer of two first, then as they were made. */
static int compare_edits(const void *a, const void *b)
{
    const SqlPiece *first = a, *second = b;
    const SqlSpan *x = &first->source, *y = &second->source;
    if (x->begin != y->begin) {
        return x->begin < y->begin ? -1 : 1;
    }
    bool x_inserts = x->begin == x->end, y_inserts = y->begin == y->end;
    if (x_inserts != y_inserts) {
        return x_inserts ? -1 : 1;
    }
    if (x->end != y->end) {
        return x->end > y->end ? -1 : 1;
    }
    return first->order < second->order ? -1 : first->order > second->order;
}

static void add_copy(SqlQuery *query, SqlSpan source)
{
    if (source.begin < source.end) {
        query->pieces[query->n_pieces++] = (SqlPiece){.kind = SQL_PIECE_COPY,
                                                      .source = source,
                                                      .data = query->text.data + source.begin,
                                                      .length = source.end - source.begin};
    }
}

void sql_query_set_edits(SqlQuery *query, SqlPiece *edits, size_t n)
{
    if (n) {
        qsort(edits, n, sizeof *edits, compare_edits);
    }
    query->pieces = arena_alloc(query->arena, (2 * n + 1) * sizeof *query->pieces);
    query->n_pieces = 0;
    size_t at = query->span.begin;
    for (size_t i = 0; i < n; i++) {
        if (edits[i].source.begin < at) {
            continue;
        }
        add_copy(query, (SqlSpan){at, edits[i].source.begin});
        query->pieces[query->n_pieces++] = edits[i];
        at = edits[i].source.end;
    }
    add_copy(query, (SqlSpan){at, query->span.end});
    join_pieces(query);
}

/* The part of a piece from byte `from` to byte `to` of it. Other than of a COPY it keeps the whole source. */
static SqlPiece cut_piece(const SqlPiece *piece, size_t from, size_t to)
{
    SqlPiece cut = *piece;
    cut.data += from;
    cut.length = to - from;
    if (piece->kind == SQL_PIECE_COPY) {
        cut.source = (SqlSpan){piece->source.begin + from, piece->source.begin + to};
    } else if (cut.length != piece->length) {
        cut.kind = SQL_PIECE_EDIT;
    }
    return cut;
}

/* Where bytes [begin, end) of the rewritten text come from. */
static SqlSpan source_of(const SqlQuery *query, size_t begin, size_t end)
{
    SqlSpan source = {query->span.end, query->span.end};
    size_t at = 0;
    for (size_t i = 0; i < query->n_pieces && at <= begin; i++) {
        const SqlPiece *piece = &query->pieces[i];
        if (begin < at + piece->length || (begin == at && i + 1 == query->n_pieces)) {
            source.begin = piece->source.begin + (piece->kind == SQL_PIECE_COPY ? begin - at : 0);
        }
        at += piece->length;
    }
    at = 0;
    source.end = source.begin;
    for (size_t i = 0; i < query->n_pieces && at < end; i++) {
        const SqlPiece *piece = &query->pieces[i];
        size_t inside = end - at < piece->length ? end - at : piece->length;
        size_t stop = piece->kind == SQL_PIECE_COPY ? piece->source.begin + inside : piece->source.end;
        if (stop > source.end) {
            source.end = stop;
        }
        at += piece->length;
    }
    return source;
}

void sql_query_replace(SqlQuery *query, const SqlReplacement *replacements, size_t n)
{
    SqlPiece *pieces = arena_alloc(query->arena, (2 * query->n_pieces + 2 * n + 1) * sizeof *pieces);
    size_t count = 0, begin = 0, next = 0;
    for (size_t i = 0; i < query->n_pieces; i++) {
        const SqlPiece *piece = &query->pieces[i];
        size_t at = begin, end = begin + piece->length;
        for (; next < n && replacements[next].begin < end; next++) {
            const SqlReplacement *r = &replacements[next];
            if (r->begin > at) {
                pieces[count++] = cut_piece(piece, at - begin, r->begin - begin);
            }
            if (r->begin >= begin) {
                pieces[count++] = (SqlPiece){.kind = SQL_PIECE_EDIT,
                                             .source = source_of(query, r->begin, r->end),
                                             .data = arena_strdup(query->arena, r->text),
                                             .length = strlen(r->text)};
            }
            at = r->end > at ? r->end : at;
            if (at > end) {
                break; /* goes on in the next piece */
            }
        }
        if (at < end) {
            pieces[count++] = cut_piece(piece, at - begin, end - begin);
        }
        begin = end;
    }
    query->pieces = pieces;
    query->n_pieces = count;
    join_pieces(query);
}

/* ---- places ---- */

/* Puts what the user wrote in the place of the placeholders in a message of DuckDB's. */
static void name_relations(const SqlQuery *query, Error *err)
{
    for (size_t i = query->n_relations; i-- > 0;) {
        const SqlRelation *relation = &query->relations[i];
        char *found = strstr(err->message, relation->placeholder);
        if (!found) {
            continue;
        }
        Text message = TEXT(ERROR_TEXT_MAX);
        text_append_n(&message, err->message, (size_t)(found - err->message));
        text_printf(&message, "%s%s%s", relation->schema ? relation->schema : "", relation->schema ? "." : "",
                    relation->name);
        text_append(&message, found + strlen(relation->placeholder));
        snprintf(err->message, sizeof err->message, "%s", text_str(&message));
        text_free(&message);
    }
}

SqlSpan sql_query_token(const SqlQuery *query, size_t offset)
{
    size_t begin = 0;
    for (size_t i = 0; i < query->n_pieces; i++) {
        const SqlPiece *piece = &query->pieces[i];
        if (offset < begin + piece->length) {
            return piece->kind == SQL_PIECE_COPY ? sql_token_span_at(&query->text, piece->source.begin + offset - begin)
                                                 : piece->source;
        }
        begin += piece->length;
    }
    return (SqlSpan){query->span.end, query->span.end};
}

void sql_query_lacks_metadata(SqlQuery *query, const Error *why)
{
    Error *kept = arena_alloc(query->arena, sizeof *kept);

    *kept = *why;
    query->lacks_metadata = kept;
}

void sql_query_place(const SqlQuery *query, int64_t offset, Error *err)
{
    if (!err) {
        return;
    }
    name_relations(query, err);
    if (query->lacks_metadata && strstr(err->message, "_metadata")) {
        *err = *query->lacks_metadata;
    }
    if (offset >= 0) {
        sql_error_place(err, &query->text, sql_query_token(query, (size_t)offset));
    }
}
