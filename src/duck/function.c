#include "duck/duck_int.h"
Status duck_functions_init(Duck *duck, Error *err){(void)duck;(void)err;return OK;}
