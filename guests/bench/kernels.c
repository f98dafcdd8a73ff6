/* kernels.c: the twelve benchmark kernels that every peer runs; their one home is bench/kernels. */
#include "../../bench/kernels/bench.c"
