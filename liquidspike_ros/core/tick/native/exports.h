/* What others see of the library: the only names, so that none of theirs can stand in for ours. */
#ifndef LIQUIDSPIKE_EXPORTS_H
#define LIQUIDSPIKE_EXPORTS_H

#define EXPORTED(type, name) __attribute__((visibility("default"))) type liquidspike_##name

#endif
