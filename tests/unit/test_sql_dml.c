/* The bodies of DELETE, UPDATE, MERGE, ALTER TABLE and RESTORE. */
#include "unit.h"

#include <string.h>

#include "base/mem.h"
#include "sql/statement_alter.h"
#include "sql/statement_dml.h"

static Arena *arena;

static SqlText text_of(const char *sql)
{
    return (SqlText){.name = "test", .data = sql, .length = strlen(sql)};
}

static SqlDml parse(const char *sql, SqlStatementKind kind)
{
    SqlText text = text_of(sql);
    SqlDml dml;
    Error err = ERROR_NONE;

    assert_ok(sql_dml_parse(&text, kind, arena, &dml, &err));
    return dml;
}

static const char *slice(const char *sql, SqlSpan span)
{
    return arena_strndup(arena, sql + span.begin, span.end - span.begin);
}

static void test_sql_dml__delete(void **state)
{
    (void)state;
    const char *sql = "DELETE FROM a.\"b c\" WHERE x IN (SELECT y FROM z WHERE 1 = 1) -- all";
    SqlDml dml = parse(sql, SQL_DELETE);

    assert_string_equal(dml.alias, "b c");
    assert_string_equal(slice(sql, dml.where), "x IN (SELECT y FROM z WHERE 1 = 1)");
    dml = parse("DELETE FROM t AS u", SQL_DELETE);
    assert_string_equal(dml.alias, "u");
    assert_false(dml.has_where);
}

static void test_sql_dml__update(void **state)
{
    (void)state;
    const char *sql =
        "UPDATE t u SET a = CASE WHEN b THEN f(1, 2) ELSE [1, 2][1] END, u.c = DEFAULT, d = x.end WHERE e";
    SqlDml dml = parse(sql, SQL_UPDATE);

    assert_int_equal(dml.n_set, 3);
    assert_string_equal(slice(sql, dml.set[0].value), "CASE WHEN b THEN f(1, 2) ELSE [1, 2][1] END");
    assert_string_equal(dml.set[1].column, "c");
    assert_true(dml.set[1].is_default);
    assert_string_equal(slice(sql, dml.set[2].value), "x.end");
    assert_string_equal(slice(sql, dml.where), "e");
    dml = parse("UPDATE t SET t.s.x.y = 1, s.x = 2, t.t = 3", SQL_UPDATE);
    assert_string_equal(dml.set[0].column, "s");
    assert_int_equal(dml.set[0].n_path, 2);
    assert_string_equal(dml.set[0].path[1], "y");
    assert_int_equal(dml.set[1].n_path, 1);
    assert_string_equal(dml.set[2].column, "t");
    assert_int_equal(dml.set[2].n_path, 0);
}

static void test_sql_dml__merge(void **state)
{
    (void)state;
    const char *sql =
        "MERGE INTO t USING (SELECT 1 AS id) AS s ON t.id = CASE WHEN s.id > 0 THEN s.id END "
        "WHEN MATCHED AND s.id IN (1, 2) THEN DELETE WHEN MATCHED THEN UPDATE SET * "
        "WHEN NOT MATCHED BY TARGET THEN INSERT (id, v) VALUES (s.id, DEFAULT) WHEN NOT MATCHED THEN INSERT * "
        "WHEN NOT MATCHED BY SOURCE THEN UPDATE SET v = 1";
    SqlDml dml = parse(sql, SQL_MERGE);

    assert_string_equal(dml.source_alias, "s");
    assert_string_equal(slice(sql, dml.source), "(SELECT 1 AS id) AS s");
    assert_string_equal(slice(sql, dml.on), "t.id = CASE WHEN s.id > 0 THEN s.id END");
    assert_int_equal(dml.n_clauses, 5);
    assert_string_equal(slice(sql, dml.clauses[0].condition), "s.id IN (1, 2)");
    assert_int_equal(dml.clauses[0].action, SQL_MERGE_DELETE);
    assert_true(dml.clauses[1].all);
    assert_int_equal(dml.clauses[2].n_set, 2);
    assert_true(dml.clauses[2].set[1].is_default);
    assert_int_equal(dml.clauses[3].when, SQL_MERGE_NOT_MATCHED);
    assert_int_equal(dml.clauses[4].when, SQL_MERGE_NOT_MATCHED_BY_SOURCE);
    assert_false(dml.evolve);
    assert_true(parse("MERGE WITH SCHEMA EVOLUTION INTO t USING s ON a WHEN MATCHED THEN DELETE", SQL_MERGE).evolve);
    assert_string_equal(parse("MERGE INTO t USING f(1) g ON a WHEN MATCHED THEN DELETE", SQL_MERGE).source_alias, "g");
    assert_string_equal(parse("MERGE INTO t USING s ON a WHEN MATCHED THEN DELETE", SQL_MERGE).source_alias, "s");
}

static void test_sql_dml__errors_have_a_place(void **state)
{
    (void)state;
    static const struct {
        const char *sql;
        SqlStatementKind kind;
        int column;
    } CASES[] = {
        {"DELETE t", SQL_DELETE, 8},
        {"DELETE FROM t WHERE", SQL_DELETE, 20},
        {"UPDATE t SET", SQL_UPDATE, 13},
        {"UPDATE t SET a b", SQL_UPDATE, 16},
        {"UPDATE t SET s. = 1", SQL_UPDATE, 17},
        {"MERGE WITH SCHEMA INTO t USING s ON a WHEN MATCHED THEN DELETE", SQL_MERGE, 19},
        {"MERGE INTO t USING s WHEN MATCHED THEN DELETE", SQL_MERGE, 46},
        {"MERGE INTO t USING s ON a", SQL_MERGE, 26},
        {"MERGE INTO t USING s ON a WHEN NOT MATCHED THEN DELETE", SQL_MERGE, 49},
        {"MERGE INTO t USING s ON a WHEN NOT MATCHED THEN INSERT (a) VALUES (1, 2)", SQL_MERGE, 67},
    };

    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        SqlText text = text_of(CASES[i].sql);
        SqlDml dml;
        Error err = ERROR_NONE;
        assert_int_equal(sql_dml_parse(&text, CASES[i].kind, arena, &dml, &err), ERR_INVALID);
        if (err.place.column != CASES[i].column) {
            print_error("%s: column %d, not %d: %s\n", CASES[i].sql, err.place.column, CASES[i].column, err.message);
        }
        assert_int_equal(err.place.column, CASES[i].column);
    }
}

static SqlAlter alter(const char *sql)
{
    SqlText text = text_of(sql);
    SqlAlter out;
    Error err = ERROR_NONE;

    assert_ok(sql_alter_parse(&text, (SqlSpan){0, text.length}, arena, &out, &err));
    return out;
}

static void test_sql_dml__alter(void **state)
{
    (void)state;
    SqlAlter a = alter("ADD COLUMN IF NOT EXISTS a INT NOT NULL, b DECIMAL(10, 2) COMMENT 'x'");

    assert_int_equal(a.n_columns, 2);
    assert_true(a.if_not_exists && a.columns[0].not_null);
    assert_string_equal(a.columns[1].type, "DECIMAL(10, 2)");
    assert_int_equal(alter("ADD COLUMNS (a INT, b INT)").n_columns, 2);
    a = alter("ALTER COLUMN \"a b\" TYPE DECIMAL(12, 2)");
    assert_string_equal(a.paths[0].parts[0], "a b");
    assert_string_equal(a.columns[0].type, "DECIMAL(12, 2)");
    assert_int_equal(alter("ALTER COLUMN a DROP NOT NULL").kind, SQL_ALTER_COLUMN_NULLABLE);
    assert_int_equal(alter("DROP COLUMNS (a, b.c)").n_paths, 2);
    a = alter("RENAME COLUMN s.`x y` TO b");
    assert_string_equal(a.paths[0].parts[1], "x y");
    assert_string_equal(a.name, "b");
    a = alter("ADD COLUMNS (s.x STRUCT<a: INT> FIRST, y INT COMMENT 'c' AFTER z)");
    assert_int_equal(a.paths[0].n, 2);
    assert_true(a.paths[0].first);
    assert_string_equal(a.columns[0].type, "STRUCT<a: INT>");
    assert_string_equal(a.paths[1].after, "z");
    assert_string_equal(alter("ALTER COLUMN a SET DEFAULT `f`(1, 2)").expression, "`f`(1, 2)");
    assert_int_equal(alter("CHANGE COLUMN a DROP DEFAULT").kind, SQL_ALTER_COLUMN_NO_DEFAULT);
    assert_string_equal(alter("ALTER COLUMN a AFTER b").paths[0].after, "b");
    assert_int_equal(alter("CLUSTER BY (a, b.c)").n_paths, 2);
    assert_int_equal(alter("CLUSTER BY NONE").n_paths, 0);
    a = alter("DROP FEATURE 'typeWidening-preview' TRUNCATE HISTORY");
    assert_string_equal(a.name, "typeWidening-preview");
    assert_true(a.truncate_history);
    a = alter("UNSET TBLPROPERTIES IF EXISTS (delta.appendOnly, 'x')");
    assert_true(a.if_exists);
    assert_string_equal(a.properties[0].key, "delta.appendOnly");
    assert_string_equal(a.properties[1].key, "x");
    assert_string_equal(alter("ADD CONSTRAINT c CHECK (a > (1))").condition, "a > (1)");
}

static void test_sql_dml__restore(void **state)
{
    (void)state;
    SqlText text = text_of("TO TIMESTAMP AS OF now() - INTERVAL '1 day'");
    SqlRestore restore;
    Error err = ERROR_NONE;

    assert_ok(sql_restore_parse(&text, (SqlSpan){0, text.length}, arena, &restore, &err));
    assert_string_equal(restore.timestamp, "now() - INTERVAL '1 day'");
    assert_null(restore.version);
    text = text_of("TO 5");
    assert_int_equal(sql_restore_parse(&text, (SqlSpan){0, text.length}, arena, &restore, &err), ERR_INVALID);
}

static int setup(void **state)
{
    (void)state;
    arena = arena_new();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    arena_free(arena);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sql_dml__delete), cmocka_unit_test(test_sql_dml__update),
        cmocka_unit_test(test_sql_dml__merge),  cmocka_unit_test(test_sql_dml__errors_have_a_place),
        cmocka_unit_test(test_sql_dml__alter),  cmocka_unit_test(test_sql_dml__restore),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
