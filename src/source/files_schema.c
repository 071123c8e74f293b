#include "source/files_schema.h"

#include <inttypes.h>
#include <string.h>

#include "base/failpoint.h"

enum { SCHEMA_BYTES_MAX = 64 << 20 };

static bool highest(void *context, const StoreEntry *entry)
{
    int64_t *last = context, number;
    if (str_parse_i64(entry->name, &number) && number > *last) {
        *last = number;
    }
    return true;
}

Status files_schema_load(Store *store, const char *dir, DeltaSchema **out, int64_t *next, Error *err)
{
    Text folder = TEXT(4096), key = TEXT(4096), text = TEXT(SCHEMA_BYTES_MAX);
    int64_t last = -1;
    DeltaSchema *schema = NULL;
    Status rc;

    text_printf(&folder, "%s/_schemas", dir);
    TRY(store_list(store, text_str(&folder), NULL, highest, &last, err));
    if (last >= 0) {
        text_printf(&key, "%s/%" PRId64, text_str(&folder), last);
        TRY(store_read(store, text_str(&key), SCHEMA_BYTES_MAX, &text, NULL, err));
        if (strncmp(text_str(&text), "v1\n", 3) != 0) {
            rc = error_set(err, E_STREAM_CHECKPOINT, "%s/%s does not begin with v1", store_uri(store), text_str(&key));
            goto out;
        }
        rc = delta_schema_parse(text.data + 3, &schema, err);
        if (rc != OK) {
            error_context(err, "%s/%s", store_uri(store), text_str(&key));
            goto out;
        }
    }
    *out = schema;
    *next = last + 1;
out:
    text_free(&folder);
    text_free(&key);
    text_free(&text);
    return rc;
}

Status files_schema_save(Store *store, const char *dir, int64_t number, const DeltaSchema *schema, Error *err)
{
    Text key = TEXT(4096), text = TEXT(SCHEMA_BYTES_MAX);
    Status rc;

    text_printf(&key, "%s/_schemas/%" PRId64, dir, number);
    text_append(&text, "v1\n");
    delta_schema_json(schema, &text);
    TRY(failpoint(FP_SOURCE_SCHEMA_BEFORE_PUT, err));
    TRY(store_put_if_absent(store, text_str(&key), text.data, text.length, err));
    TRY(failpoint(FP_SOURCE_SCHEMA_AFTER_PUT, err));
out:
    text_free(&key);
    text_free(&text);
    return rc;
}
