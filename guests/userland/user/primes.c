/* primes.c: some honest work: the primes below 100,000, counted with a sieve in demand-zeroed memory. */
#include "user.h"

static u8 composite[100000];

int main(void) {
	u32 count = 0;
	for (u32 i = 2; i < sizeof composite; i++) {
		if (composite[i])
			continue;
		count++;
		for (u32 j = i * 2; j < sizeof composite; j += i)
			composite[j] = 1;
	}
	printf("%d primes below %d\n", count, (u32)sizeof composite);
	return count != 9592;
}
