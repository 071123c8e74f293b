/* The JSON reader against jansson on any bytes: see tests/unit/json_judge.h. */
#include "../unit/json_judge.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static Judge judge;
    static bool open;
    if (!open) {
        judge_open(&judge);
        open = true;
    }
    judge_text(&judge, (const char *)data, size);
    return 0;
}
