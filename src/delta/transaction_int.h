/* Inside of transactions: what begin, the attempts and the conflict check share. */
#ifndef FRESHET_DELTA_TRANSACTION_INT_H
#define FRESHET_DELTA_TRANSACTION_INT_H

#include "base/clock.h"
#include "base/map.h"
#include "delta/transaction.h"

/* One parameter of commitInfo: it may quote a statement of SQL_TEXT_MAX. */
enum { PARAMETER_BYTES_MAX = 64 << 20 };

typedef struct DeltaActionList {
    DeltaAction *items;
    size_t n, capacity;
} DeltaActionList;

typedef struct DeltaPairList {
    DeltaPair *items;
    size_t n, capacity;
} DeltaPairList;

struct DeltaTransaction {
    Arena *arena;
    DeltaTable *table;
    DuckConn *conn;
    DeltaSnapshot *snapshot; /* NULL: a new table */
    int64_t read_version;    /* -1: a new table */
    char token[UUID_TEXT];   /* commitInfo.txnId */

    /* read */
    bool read_table;
    Map *read_files;              /* canonical path -> itself */
    Map *read_apps;               /* app id -> itself */
    const char **read_predicates; /* NULL entry: any partition */
    size_t n_read_predicates, capacity_read_predicates;

    /* to be written */
    DeltaActionList files; /* adds, removes, cdc */
    DeltaActionList small; /* txn, domain */
    DeltaMetadata metadata;
    bool metadata_changed;
    DeltaProtocol protocol;
    bool protocol_changed;
    DeltaSchema *schema; /* owned; NULL until set on a new table */
    bool enables_ict;    /* this commit turns in-commit timestamps on for an existing table */
    Map *wrote;          /* log paths this transaction made */

    /* commitInfo */
    const char *operation;
    DeltaPairList parameters, metrics; /* JSON texts */
    const char *freshet, *user_metadata;

    /* row tracking, while attempts are made */
    int64_t row_id_high_water; /* -1: none given out */

    bool committed, unknown_outcome;
};

/* All of it in `arena`; empty partition values, which mean null, become null. */
DeltaFile delta_file_copy(Arena *arena, const DeltaFile *file);

/* Adds to commitInfo what follows from the actions, where the statement has not said it: once, after validation. */
void delta_transaction_complete_info(DeltaTransaction *txn);
/* The line of commitInfo. */
void delta_transaction_render_info(const DeltaTransaction *txn, int64_t timestamp_ms, Text *out);
bool delta_transaction_is_blind_append(const DeltaTransaction *txn);
/* Which rows added meanwhile matter to what was read: all, those that are no blind append, none. By
 * delta.isolationLevel; a rewrite has snapshot isolation. */
typedef enum DeltaIsolation { DELTA_SERIALIZABLE, DELTA_WRITE_SERIALIZABLE, DELTA_SNAPSHOT_ISOLATION } DeltaIsolation;
DeltaIsolation delta_transaction_isolation(const DeltaTransaction *txn);
bool delta_transaction_tracks_rows(const DeltaTransaction *txn);
bool delta_transaction_uses_ict(const DeltaTransaction *txn);

/* May this transaction go on top of `winner`? Takes over from it what it must: protocol, harmless metadata, row ids. */
Status delta_conflict_check(DeltaTransaction *txn, const DeltaCommit *winner, Error *err);

/* rowIdHighWaterMark of a delta.rowTracking domain; -1 when there is none. */
int64_t delta_row_id_high_water(const DeltaDomain *domains, size_t n);

#endif
