/* What records look like: the union of the types seen in a sample, from which a schema is inferred or extended.
 *
 *   boolean -> BOOLEAN    whole numbers that fit -> BIGINT    with others among them -> DOUBLE    objects -> STRUCT  
 *   arrays -> LIST
 *   nothing but nulls, empty objects, whole numbers beyond BIGINT, or a mixture of the above -> VARCHAR
 *
 * Fields stand in the order in which they were met. A name that differs from an earlier one only in case is no field
 * of its own.
 */
#ifndef FRESHET_SOURCE_SHAPE_H
#define FRESHET_SOURCE_SHAPE_H

#include "base/map.h"
#include "delta/schema.h"

enum { SHAPE_FIELDS_MAX = 10000, SHAPE_DEPTH_MAX = 32, SHAPE_NAME_MAX = 255 };

typedef struct Shape Shape;
struct Shape {
    unsigned kinds; /* bits of what was seen */
    Shape *element; /* of arrays */
    Map *fields;    /* of objects: name -> Shape; in order of appearance */
    Map *lower;     /* the names in lower case */
};

/* The shapes of a sample; freed together. */
typedef struct Shapes {
    Shape *root;     /* of the records: objects */
    size_t n_fields; /* at all depths */
} Shapes;

/* Can a field of this name be a column? Not without a name, nor with a NUL in it, nor with a very long one: such are
 * rescued. */
bool shape_takes_name(const char *name, size_t n);

void shapes_init(Shapes *shapes);
void shapes_fini(Shapes *shapes);

/* Takes up the record at *line (json_text.h) and moves behind its line end. What is not an object in JSON is passed
 * over. */
void shapes_add_json(Shapes *shapes, const char **line);
/* Takes up one field of a CSV record. `null`: it has no value. */
void shapes_add_text(Shapes *shapes, const char *name, const char *s, size_t n, bool null);

/* The schema of what was seen. `strings`: every column a VARCHAR. */
DeltaSchema *shapes_schema(const Shapes *shapes, bool strings);
/* `base` with the fields, at any depth, that were seen and that it lacks (without regard to case), at the end of
 * their struct; NULL when there are none. Fields of `base` keep their types. `reserved`: names that are no fields. */
DeltaSchema *shapes_extend(const Shapes *shapes, const DeltaSchema *base, bool strings, const char *const *reserved,
                           size_t n_reserved);

#endif
