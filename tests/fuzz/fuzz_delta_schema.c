/* Schema JSON: whatever parses must come back the same after being written. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "delta/schema.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *json = mem_strndup((const char *)data, size);
    DeltaSchema *schema = NULL, *again = NULL;
    Text text = TEXT(64 << 20), sql = TEXT(64 << 20);

    if (delta_schema_parse(json, &schema, NULL) == OK) {
        delta_schema_json(schema, &text);
        if (delta_schema_parse(text_str(&text), &again, NULL) != OK || !delta_schema_equal(schema, again) ||
            !delta_schema_is_additive(schema, again) || delta_schema_check_read(schema, again, NULL) != OK) {
            abort();
        }
        for (size_t i = 0; i < schema->n_fields; i++) {
            delta_type_sql(schema->fields[i].type, &sql);
        }
        delta_schema_check_names(schema, NULL, NULL);
    }
    delta_schema_unref(schema);
    delta_schema_unref(again);
    text_free(&text);
    text_free(&sql);
    mem_free(json);
    return 0;
}
