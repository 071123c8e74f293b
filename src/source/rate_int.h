/* The arithmetic of the rate source, for its tests. */
#ifndef FRESHET_SOURCE_RATE_INT_H
#define FRESHET_SOURCE_RATE_INT_H

#include <stdint.h>

#include "base/text.h"

typedef struct RateSpeed {
    int64_t rows;   /* per second, at full speed */
    int64_t ramp_s; /* seconds until then */
} RateSpeed;

/* The first value of second `t`; INT64_MAX when it does not fit. */
int64_t rate_value_at(const RateSpeed *speed, int64_t t);

#endif
