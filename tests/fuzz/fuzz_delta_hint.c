/* _last_checkpoint and the names of the log: any bytes give an answer or an error. */
#include <string.h>

#include "base/mem.h"
#include "delta/log/hint.h"
#include "delta/log/name.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static Store *store;
    char checksum[DELTA_HINT_CHECKSUM];
    DeltaLogName name;
    int64_t version;
    char *text = mem_strndup((const char *)data, size);

    if (!store && store_open("memory://fuzz-delta-hint", &store, NULL) != OK) {
        return 0;
    }
    if (store_put(store, DELTA_LOG_HINT, data, size, NULL) == OK) {
        (void)delta_hint_read(store, &version, NULL);
    }
    (void)delta_hint_checksum((const char *)data, size, checksum, NULL);
    (void)delta_log_name_parse(text, &name);
    mem_free(text);
    return 0;
}
