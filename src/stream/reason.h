/* Why a row of the input is not in the result: one list for the counters of the progress (`rowsSetAside`), the line of
 * the display and the column `reason` of <table>__rejected.
 *
 * X(id, text): the text is the counter's key and the value of `reason`; an expectation's name follows it there.
 */
#ifndef FRESHET_STREAM_REASON_H
#define FRESHET_STREAM_REASON_H

#define STREAM_REASONS(X)                                                                \
    X(LATE, "late")               /* behind the watermark of the batch before */         \
    X(NO_TIME, "no event time")   /* it is null, and the step needs one */               \
    X(AHEAD, "far ahead")         /* beyond freshet.watermark.maxAhead */                \
    X(DUPLICATE, "duplicate")     /* DISTINCT has seen its key */                        \
    X(EVICTED, "evicted")         /* a join remembered it until no partner could come */ \
    X(EXPECTATION, "expectation") /* it violates one with ON VIOLATION DROP ROW */

typedef enum StreamReason {
#define X(id, text) REASON_##id,
    STREAM_REASONS(X)
#undef X
        REASON_COUNT
} StreamReason;

/* The texts, by StreamReason. */
extern const char *const STREAM_REASON_TEXTS[REASON_COUNT];

#endif
