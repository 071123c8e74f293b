/* What assignments make of a table's columns: SET column = value, SET column.field = value. Only inside src/table. */
#ifndef FRESHET_TABLE_ASSIGN_H
#define FRESHET_TABLE_ASSIGN_H

#include "delta/schema.h"
#include "table/delete.h"

/* May these columns be assigned? Identity columns are never updated, and given to new rows only where the table lets
 * them be: E_DELTA_SCHEMA with Delta's class. */
Status table_assign_check(const DeltaSchema *schema, const TableAssignment *set, size_t n, bool insert, Error *err);

/* values[i]: SQL over the old row for column i, NULL where it keeps its value. Fields of a struct that are not assigned
 * keep theirs; `alias` qualifies old columns. A default where the assignment has no expression. E_DELTA_SCHEMA for
 * columns and fields that are not there and for what is assigned twice. The texts live in `arena`. */
Status table_assign(DuckConn *conn, const DeltaSchema *schema, const char *alias, const TableAssignment *set, size_t n,
                    Arena *arena, const char **values, Error *err);

#endif
