/* The life of a flow: open, and a loop that turns triggers into batches.
 *
 *            +----------------- retriable error: wait 5 s, 10 s, ... 10 min ----------------+
 *            v                                                                               |
 *   recover -> plan -> [freeze] -> batch -> report -> wait for input or the next tick -> batch ...
 *                ^                   |
 *                +-- schema grew ----+
 *
 * Waiting is one poll(2) over the wake-up descriptors of the sources and an eventfd that flow_stop makes readable;
 * there is no timeout unless a source needs one, so an idle flow costs nothing. After any error the flow recovers
 * exactly as a new process would: it reads the checkpoint and the sink and believes nothing it remembers.
 */
#include "stream/flow.h"

#include <limits.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/log.h"
#include "stream/flow_int.h"

enum { RETAIN_BATCHES = 100, REPLANS_MAX = 100, IDENTITY_MAX = 1 << 16 };
static const int64_t RETRY_FIRST_US = 5 * 1000000LL, RETRY_MAX_US = 600 * 1000000LL;

/* ---- open and close ---- */

static void copy_inputs(Flow *flow, const FlowSpec *spec)
{
    flow->n_readers = spec->n_inputs;
    flow->readers = mem_alloc((spec->n_inputs + 1) * sizeof *flow->readers);
    for (size_t i = 0; i < spec->n_inputs; i++) {
        FlowReader *reader = &flow->readers[i];
        reader->placeholder = mem_strdup(spec->inputs[i].placeholder);
        reader->event_column = mem_strdup(spec->inputs[i].event_column);
        reader->event_expression = mem_strdup(spec->inputs[i].event_expression);
        reader->delay_us = spec->inputs[i].delay_us;
        reader->times_slot = duck_range_register(spec->duck, &reader->times);
        reader->ahead_slot = duck_counter_register(spec->duck, &reader->ahead);
    }
    flow->n_sides = spec->n_statics;
    flow->sides = mem_alloc((spec->n_statics + 1) * sizeof *flow->sides);
    for (size_t i = 0; i < spec->n_statics; i++) {
        flow->sides[i].placeholder = mem_strdup(spec->statics[i].placeholder);
        flow->sides[i].ops = spec->statics[i];
    }
}

static void copy_rules(Flow *flow, const FlowSpec *spec)
{
    flow->n_rules = spec->n_expectations;
    flow->rules = mem_alloc((spec->n_expectations + 1) * sizeof *flow->rules);
    for (size_t i = 0; i < spec->n_expectations; i++) {
        const FlowExpectation *from = &spec->expectations[i];
        FlowRule *rule = &flow->rules[i];
        rule->name = mem_strdup(from->name);
        rule->condition = mem_strdup(from->condition);
        rule->on_violation = from->on_violation;
        rule->place = from->place;
        rule->slot = duck_counter_register(spec->duck, &rule->counter);
    }
    flow->kept_slot = duck_counter_register(spec->duck, &flow->kept);
}

static Flow *new_flow(const FlowSpec *spec)
{
    Flow *flow = mem_alloc(sizeof *flow);

    flow->name = mem_strdup(spec->name);
    flow->plan = spec->plan && spec->plan->n_steps > 0 ? spec->plan : NULL;
    flow->query = mem_strdup(flow->plan ? flow->plan->body : spec->query);
    flow->idle_ms = spec->idle_us / 1000;
    flow->max_ahead_us = spec->max_ahead_us;
    flow->duck = spec->duck;
    flow->trigger = spec->trigger;
    flow->retain_batches = spec->retain_batches > 0 ? spec->retain_batches : RETAIN_BATCHES;
    flow->retry_first_us = spec->retry_first_ms > 0 ? spec->retry_first_ms * 1000 : RETRY_FIRST_US;
    flow->place = spec->place;
    flow->place_context = spec->place_context;
    flow->stop_fd = -1;
    flow->body = TEXT(TEXT_SQL_MAX);
    flow->status.state = "starting";
    flow->status.version = -1;
    flow->status.batch = -1;
    uuid_text(flow->run_id);
    pthread_mutex_init(&flow->mutex, NULL);
    copy_inputs(flow, spec);
    copy_rules(flow, spec);
    return flow;
}

/* "kind:place", or a place alone, as it is written into freshet.json. */
static void append_identity(Text *out, const char *identity, const char *folder)
{
    size_t kind = strcspn(identity, ":/");

    kind = identity[kind] == ':' ? kind + 1 : 0;
    text_append_n(out, identity, kind);
    text_append(out, folder != NULL ? store_place_write(identity + kind, folder) : identity + kind);
}

/* The sources become the flow's only when everything else worked; until then they are the spec's. */
static Status bind_sources(Flow *flow, const FlowSpec *spec, Error *err)
{
    char **names = mem_alloc((spec->n_inputs + 1) * sizeof *names);
    Text target = TEXT(IDENTITY_MAX), place = TEXT(IDENTITY_MAX);

    for (size_t i = 0; i < spec->n_inputs; i++) {
        Text name = TEXT(IDENTITY_MAX);
        text_clear(&place);
        spec->inputs[i].source->ops->identity(spec->inputs[i].source, &place);
        append_identity(&name, text_str(&place), spec->folder);
        names[i] = text_take(&name);
    }
    append_identity(&target, spec->target_id != NULL ? spec->target_id : "", spec->folder);
    Status rc = checkpoint_bind(flow->checkpoint, flow->name, text_str(&target), (const char *const *)names,
                                spec->n_inputs, err);
    for (size_t i = 0; i < spec->n_inputs; i++) {
        mem_free(names[i]);
    }
    mem_free(names);
    text_free(&target);
    text_free(&place);
    return rc;
}

Status flow_open(const FlowSpec *spec, Flow **out, Error *err)
{
    Flow *flow = new_flow(spec);
    Status rc = OK;

    flow->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (flow->stop_fd < 0) {
        rc = error_errno(err, "eventfd");
        goto out;
    }
    TRY(duck_connect(spec->duck, &flow->conn, err));
    duck_set_user_metadata(flow->conn, spec->user_metadata);
    for (size_t i = 0; i < spec->n_settings; i++) {
        TRY(duck_exec(flow->conn, spec->settings[i], err));
    }
    TRY(checkpoint_open(spec->checkpoint, spec->name, &flow->checkpoint, err));
    TRY(bind_sources(flow, spec, err));
    TRY(batch_look(flow, err));
    for (size_t i = 0; i < spec->n_inputs; i++) {
        flow->readers[i].source = spec->inputs[i].source;
    }
    flow->sink = spec->sink;
    flow->rejected = spec->rejected;
    *out = flow;
    flow = NULL;
out:
    flow_close(flow);
    return rc;
}

static void close_readers(Flow *flow)
{
    for (size_t i = 0; i < flow->n_readers; i++) {
        FlowReader *reader = &flow->readers[i];
        if (reader->source) {
            reader->source->ops->close(reader->source);
        }
        duck_range_drop(flow->duck, reader->times_slot);
        duck_counter_drop(flow->duck, reader->ahead_slot);
        mem_free(reader->placeholder);
        mem_free(reader->event_column);
        mem_free(reader->event_expression);
        mem_free(reader->start);
        mem_free(reader->from);
    }
    mem_free(flow->readers);
}

void flow_close(Flow *flow)
{
    if (!flow) {
        return;
    }
    batch_clear(flow);
    plan_clear(flow);
    close_readers(flow);
    if (flow->sink) {
        flow->sink->ops->close(flow->sink);
    }
    if (flow->rejected) {
        flow->rejected->ops->close(flow->rejected);
    }
    for (size_t i = 0; i < flow->n_sides; i++) {
        mem_free(flow->sides[i].placeholder);
    }
    for (size_t i = 0; i < flow->n_rules; i++) {
        duck_counter_drop(flow->duck, flow->rules[i].slot);
        mem_free(flow->rules[i].name);
        mem_free(flow->rules[i].condition);
    }
    duck_counter_drop(flow->duck, flow->kept_slot);
    duck_disconnect(flow->conn);
    checkpoint_close(flow->checkpoint);
    if (flow->stop_fd >= 0) {
        close(flow->stop_fd);
    }
    pthread_mutex_destroy(&flow->mutex);
    for (size_t i = 0; i < flow->n_states; i++) {
        json_decref(flow->states[i]);
    }
    mem_free(flow->states);
    json_decref(flow->state);
    json_decref(flow->conf);
    mem_free(flow->sides);
    mem_free(flow->rules);
    mem_free(flow->name);
    mem_free(flow->query);
    mem_free(flow);
}

/* ---- planning ---- */

/* Plans, and makes the sink ready for the query's columns: creates the target where there is none. *ready = false: a
 * source has no schema yet. */
static Status prepare(Flow *flow, bool *ready, Error *err)
{
    bool planned = true;
    Status rc = OK;

    if (!flow->planned) {
        TRY(plan_make(flow, &planned, err));
    }
    if (planned && !flow->prepared) {
        TRY(flow->sink->ops->prepare(flow->sink, flow->conn, flow->columns, flow->n_columns, err));
        TRY(rejected_prepare(flow, err));
        flow->prepared = true;
    }
    *ready = planned;
out:
    return rc;
}

/* ---- waiting ---- */

/* Until a wake-up, a stop, or `deadline_us` (monotonic; INT64_MAX: no deadline). `inputs`: sources may wake it. */
static void wait_until(Flow *flow, int64_t deadline_us, bool inputs)
{
    struct pollfd *fds = mem_alloc((flow->n_readers + 1) * sizeof *fds);
    nfds_t n = 0;
    int64_t now = clock_mono_us();
    int timeout = -1;

    fds[n++] = (struct pollfd){.fd = flow->stop_fd, .events = POLLIN};
    for (size_t i = 0; inputs && i < flow->n_readers; i++) {
        StreamSource *source = flow->readers[i].source;
        int fd = source->ops->wake_fd ? source->ops->wake_fd(source) : -1;
        if (fd >= 0) {
            fds[n++] = (struct pollfd){.fd = fd, .events = POLLIN};
        }
        if (source->ops->poll_ms > 0 && deadline_us - now > (int64_t)source->ops->poll_ms * 1000) {
            deadline_us = now + (int64_t)source->ops->poll_ms * 1000;
        }
    }
    if (deadline_us != INT64_MAX) {
        int64_t ms = deadline_us > now ? (deadline_us - now + 999) / 1000 : 0;
        timeout = ms > INT_MAX ? INT_MAX : (int)ms;
    }
    poll(fds, n, timeout); /* whatever ends it, the caller looks again */
    mem_free(fds);
}

/* Before looking for input, so that what comes meanwhile wakes us again. */
static void clear_wakes(Flow *flow)
{
    for (size_t i = 0; i < flow->n_readers; i++) {
        StreamSource *source = flow->readers[i].source;
        if (source->ops->wake_clear) {
            source->ops->wake_clear(source);
        }
    }
}

/* ---- the loop ---- */

typedef struct Loop {
    const FlowObserver *observer;
    int64_t tick_us;     /* monotonic time of the next interval trigger */
    int64_t reported_us; /* last progress */
    int64_t retry_us;    /* next delay */
    int replans;         /* in a row */
} Loop;

typedef enum Turn { TURN_RAN, TURN_IDLE, TURN_AGAIN } Turn;

static void report(Flow *flow, Loop *loop, bool idle)
{
    if (!idle) {
        progress_status(flow);
    }
    loop->reported_us = clock_mono_us();
    if (loop->observer && loop->observer->progress) {
        Text json = TEXT(64 << 20);
        progress_json(flow, idle, &json);
        loop->observer->progress(loop->observer->context, flow, text_str(&json));
        text_free(&json);
    }
}

static Status freeze(Flow *flow, Error *err)
{
    Status rc = OK;

    if (flow->frozen || flow->trigger.kind != TRIGGER_AVAILABLE_NOW) {
        return OK;
    }
    for (size_t i = 0; i < flow->n_readers; i++) {
        StreamSource *source = flow->readers[i].source;
        TRY(source->ops->freeze(source, flow->conn, flow->readers[i].start, err));
    }
    flow->frozen = true;
out:
    return rc;
}

static Status again(Flow *flow, Loop *loop, Turn *turn, Error *err)
{
    plan_clear(flow);
    *turn = TURN_AGAIN;
    if (++loop->replans > REPLANS_MAX) {
        return error_set(err, E_INTERNAL, "%s was planned %d times without getting on", flow->name, loop->replans);
    }
    return OK;
}

static bool finite(const Flow *flow)
{
    return flow->trigger.kind == TRIGGER_ONCE || flow->trigger.kind == TRIGGER_AVAILABLE_NOW;
}

/* One trigger: whatever is to be done first, then a batch if there is input. */
static Status take_turn(Flow *flow, Loop *loop, Turn *turn, Error *err)
{
    bool ready = false, ran = false;
    Status rc = OK;

    clear_wakes(flow);
    if (!flow->recovered) {
        TRY(batch_recover(flow, err));
    }
    TRY(prepare(flow, &ready, err));
    if (!ready) {
        *turn = TURN_IDLE;
        goto out;
    }
    TRY(steps_load(flow, err));
    if (!flow->pending) {
        TRY(freeze(flow, err));
    }
    TRY(batch_run(flow, &ran, err));
    if (flow->batch.replan) {
        TRY(again(flow, loop, turn, err));
        goto out;
    }
    loop->replans = 0;
    *turn = ran ? TURN_RAN : TURN_IDLE;
    if (ran) {
        report(flow, loop, false);
        flow->previous_us = flow->batch.began_us;
        if (flow->sink->ops->maintain) {
            flow->sink->ops->maintain(flow->sink, flow->conn);
        }
        if (!finite(flow)) { /* else it may have been the last batch, and none would name it */
            steps_snapshot(flow);
        }
    }
out:
    return rc;
}

/* After a turn: true when the flow's work is done. Waits where there is something to wait for. */
static bool rest(Flow *flow, Loop *loop, Turn turn)
{
    int64_t idle_us = loop->observer && loop->observer->progress ? loop->observer->idle_ms * 1000 : 0;
    int64_t deadline = INT64_MAX;

    if (turn == TURN_AGAIN) {
        return false;
    }
    if (turn == TURN_IDLE && idle_us > 0 && flow->prepared && clock_mono_us() - loop->reported_us >= idle_us) {
        report(flow, loop, true);
    }
    batch_clear(flow);
    if (finite(flow) && (turn == TURN_IDLE || flow->trigger.kind == TRIGGER_ONCE)) {
        return true;
    }
    if (flow->trigger.kind == TRIGGER_INTERVAL && flow->prepared) {
        wait_until(flow, loop->tick_us, false);
    } else if (turn == TURN_IDLE) {
        progress_state(flow, "waiting for input");
        deadline = idle_us > 0 ? loop->reported_us + idle_us : INT64_MAX;
        wait_until(flow, deadline, true);
    }
    return false;
}

/* The interval's next multiple on the wall clock, as a monotonic time. */
static void set_tick(Flow *flow, Loop *loop)
{
    if (flow->trigger.kind == TRIGGER_INTERVAL) {
        int64_t now = clock_now_us();
        loop->tick_us = clock_mono_us() + trigger_next_us(now, flow->trigger.interval_us) - now;
    }
}

/* True when the error was one to try again after; waits for that time. */
static bool retry(Flow *flow, Loop *loop, const Error *err)
{
    if (!(err->flags & ERROR_RETRIABLE) || flow->stop != FLOW_GOES_ON) {
        return false;
    }
    progress_state(flow, "retrying");
    if (loop->observer && loop->observer->retrying) {
        loop->observer->retrying(loop->observer->context, flow, err, loop->retry_us / 1000);
    } else {
        log_warning("flow=%s %s; trying again in %lld ms", flow->name, err->message,
                    (long long)(loop->retry_us / 1000));
    }
    wait_until(flow, clock_mono_us() + loop->retry_us, false);
    loop->retry_us = loop->retry_us > RETRY_MAX_US / 2 ? RETRY_MAX_US : loop->retry_us * 2;
    return true;
}

/* What ended a turn is over: relations go, and the next turn starts as a new process would. */
static void forget(Flow *flow)
{
    batch_clear(flow);
    flow->recovered = false;
    flow->pending = false;
}

static Status end_run(Flow *flow, Status rc, Error *err)
{
    if (rc == OK && flow->recovered && !flow->pending) {
        rc = batch_tell_sources(flow, err); /* commits/N is durable, so nothing before it is asked for again */
    }
    progress_state(flow, "stopped");
    return rc;
}

Status flow_run(Flow *flow, const FlowObserver *observer, Error *err)
{
    Loop loop = {.observer = observer, .retry_us = flow->retry_first_us, .reported_us = clock_mono_us()};
    Error local = ERROR_NONE;
    Turn turn = TURN_IDLE;
    Status rc = OK;
    bool done = false;

    while (!done && flow->stop == FLOW_GOES_ON) {
        set_tick(flow, &loop);
        rc = take_turn(flow, &loop, &turn, &local);
        if (rc == OK) {
            loop.retry_us = turn == TURN_RAN ? flow->retry_first_us : loop.retry_us;
            done = rest(flow, &loop, turn);
            continue;
        }
        forget(flow);
        if (flow->stop == FLOW_ABANDONS && rc == ERR_INTERRUPTED) {
            rc = OK;
            break;
        }
        if (!retry(flow, &loop, &local)) {
            break;
        }
        error_clear(&local);
        rc = OK;
    }
    if (rc == OK) {
        error_clear(&local);
        rc = end_run(flow, OK, &local);
    } else {
        end_run(flow, rc, &local);
    }
    if (rc != OK) {
        *err = local;
    }
    return rc;
}

void flow_stop(Flow *flow, bool abandon)
{
    uint64_t one = 1;

    if (abandon || flow->stop == FLOW_GOES_ON) {
        flow->stop = abandon ? FLOW_ABANDONS : FLOW_FINISHES;
    }
    if (write(flow->stop_fd, &one, sizeof one) < 0) {
        log_debug("flow=%s was told to stop more often than can be counted", flow->name);
    }
    if (abandon) {
        duck_interrupt(flow->conn);
    }
}

/* ---- for the display ---- */

void flow_status(const Flow *flow, FlowStatus *out)
{
    Flow *shared = (Flow *)flow; /* the mutex is the one thing that changes */

    pthread_mutex_lock(&shared->mutex);
    *out = flow->status;
    pthread_mutex_unlock(&shared->mutex);
    out->batch_progress = out->state[0] == 'r' && out->state[1] == 'u' ? duck_progress(flow->conn) : -1;
}

const char *flow_name(const Flow *flow)
{
    return flow->name;
}

void flow_describe(const Flow *flow, Text *out)
{
    for (size_t i = 0; i < flow->n_readers; i++) {
        const FlowReader *reader = &flow->readers[i];
        text_append(out, i ? ", " : "");
        reader->source->ops->describe(reader->source, out);
        text_printf(out, " from %s", reader->start ? reader->start : "the start");
    }
    text_append(out, " -> ");
    flow->sink->ops->describe(flow->sink, out);
    text_printf(out, ", checkpoint %s", store_uri(checkpoint_store(flow->checkpoint)));
}
