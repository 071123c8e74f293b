/* Things that SQL names by a number: relations and counters. Numbers start at 1 and are never used twice, so a stale
 * one finds nothing instead of something else. */
#include <inttypes.h>
#include <stdio.h>

#include "base/map.h"
#include "duck/duck_int.h"

struct Registry {
    pthread_mutex_t lock;
    uint64_t last;
    Map *items; /* decimal handle -> item */
};

Registry *duck_registry_new(void)
{
    Registry *registry = mem_alloc(sizeof *registry);
    pthread_mutex_init(&registry->lock, NULL);
    registry->items = map_new();
    return registry;
}

void duck_registry_free(Registry *registry, void (*free_item)(void *))
{
    if (registry == NULL) {
        return;
    }
    map_free(registry->items, free_item);
    pthread_mutex_destroy(&registry->lock);
    mem_free(registry);
}

enum { KEY_TEXT = 24 };

static const char *key_text(uint64_t handle, char text[KEY_TEXT])
{
    snprintf(text, KEY_TEXT, "%" PRIu64, handle);
    return text;
}

uint64_t duck_registry_add(Registry *registry, void *item)
{
    char key[KEY_TEXT];
    pthread_mutex_lock(&registry->lock);
    uint64_t handle = ++registry->last;
    map_put(registry->items, key_text(handle, key), item);
    pthread_mutex_unlock(&registry->lock);
    return handle;
}

void *duck_registry_get(Registry *registry, uint64_t handle, void (*ref)(void *))
{
    char key[KEY_TEXT];
    key_text(handle, key);
    pthread_mutex_lock(&registry->lock);
    void *item = map_get(registry->items, key);
    if (item != NULL && ref != NULL) {
        ref(item);
    }
    pthread_mutex_unlock(&registry->lock);
    return item;
}

void *duck_registry_remove(Registry *registry, uint64_t handle)
{
    char key[KEY_TEXT];
    key_text(handle, key);
    pthread_mutex_lock(&registry->lock);
    void *item = map_remove(registry->items, key);
    pthread_mutex_unlock(&registry->lock);
    return item;
}
