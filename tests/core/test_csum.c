/* SPDX-License-Identifier: MIT */
#include "core/csum.h"
#include "frames.h"

#include <criterion/criterion.h>
#include <stdlib.h>

/* RFC 1071 3. */
Test(csum, example_of_rfc1071)
{
	const uint8_t data[] = { 0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7 };
	const uint16_t got = sw_csum_fold(sw_csum_add(0, data, sizeof(data)));

	cr_assert_eq(got, (uint16_t)~0xddf2, "%#x", got);
}

Test(csum, nothing_sums_to_nothing)
{
	cr_assert_eq(sw_csum_fold(sw_csum_add(0, "", 0)), 0xffff, "empty");
	cr_assert_eq(sw_csum_fold(sw_csum_add(0, "\0\0\0", 3)), 0xffff, "zeros");
}

/* Every length from an exact heap block, odd ones too, whole and in two even pieces. */
Test(csum, every_length_agrees_with_bytewise)
{
	uint64_t seed = 1;

	for (size_t n = 1; n < 300; n++) {
		uint8_t *p = malloc(n);
		const size_t cut = n / 4 * 2;
		uint16_t want, got, two;

		for (size_t i = 0; i < n; i++)
			p[i] = (uint8_t)(n % 7 ? frame_rand(&seed) : 0xff);
		want = frame_fold(frame_sum(0, p, n));
		got = sw_csum_fold(sw_csum_add(0, p, n));
		two = sw_csum_fold(sw_csum_add(sw_csum_add(0, p, cut), p + cut, n - cut));
		cr_assert_eq(got, want, "%zu bytes: %#x != %#x", n, got, want);
		cr_assert_eq(two, want, "%zu bytes cut at %zu: %#x != %#x", n, cut, two, want);
		free(p);
	}
}

Test(csum, large_sums_fold_without_loss)
{
	const size_t n = 1 << 20;
	uint8_t *p = malloc(n);

	memset(p, 0xff, n);
	cr_assert_eq(sw_csum_fold(sw_csum_add(0, p, n)), 0, "ones sum to negative zero");
	p[n - 1] = 0xfe;
	cr_assert_eq(sw_csum_fold(sw_csum_add(0, p, n)), 1, "one less");
	cr_assert_eq(sw_csum_fold(UINT64_MAX), 0, "the largest sum");
	free(p);
}

Test(csum, pseudo_header)
{
	const struct sw_addr a = frame_addr("192.0.2.1"), b = frame_addr("198.51.100.2");
	const uint8_t flat[] = { 192, 0, 2, 1, 198, 51, 100, 2, 0, 6, 0x12, 0x34 };
	const uint16_t want = frame_fold(frame_sum(0, flat, sizeof(flat)));
	const uint16_t got = sw_csum_fold(sw_csum_pseudo(SW_IP4, &a, &b, 0x1234));

	cr_assert_eq(got, want, "%#x != %#x", got, want);
}
