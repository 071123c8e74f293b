/* Being told of new files: inotify on the folders of a source, and a timer, behind one descriptor that becomes
 * readable for either.
 *
 * What is told is never the whole truth (the kernel's queue overflows, folders come and go, network file systems are
 * silent): the source lists its folders now and then all the same.
 */
#ifndef FRESHET_SOURCE_FILES_WATCH_H
#define FRESHET_SOURCE_FILES_WATCH_H

#include <stdbool.h>
#include <stdint.h>

typedef enum FilesEvent {
    FILES_COMPLETE, /* a file was closed after writing, or renamed into the folder */
    FILES_BEGUN,    /* a file was made; somebody may still be writing */
    FILES_FOLDER,   /* a folder was made or renamed into the folder */
    FILES_LOST,     /* events were lost or a folder has gone: list everything; path is NULL */
} FilesEvent;

typedef struct FilesWatch FilesWatch;
FilesWatch *files_watch_new(void); /* never NULL; without inotify it has only its timer */
void files_watch_free(FilesWatch *watch);
int files_watch_fd(const FilesWatch *watch);
/* Watches a folder (again is fine). */
void files_watch_folder(FilesWatch *watch, const char *path);
/* False when some folder could not be watched: then only listing finds what is new there. */
bool files_watch_reliable(const FilesWatch *watch);
/* Makes the descriptor readable in so many microseconds; a later call replaces an earlier one; < 0: never. */
void files_watch_timer(FilesWatch *watch, int64_t in_us);
/* Hands over what has happened, and makes the descriptor unreadable. */
void files_watch_drain(FilesWatch *watch, void (*event)(void *context, FilesEvent what, const char *path),
                       void *context);

#endif
