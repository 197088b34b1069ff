/* SPDX-License-Identifier: MIT */
#include "relay/health.h"

struct sw_health_config sw_health_defaults(struct sw_health_config cf)
{
	if (!cf.timeout_ms)
		cf.timeout_ms = 1000;
	if (!cf.rise)
		cf.rise = 2;
	if (!cf.fall)
		cf.fall = 3;
	return cf;
}

static enum sw_health_change turn_over(struct sw_health *h)
{
	h->down = !h->down;
	h->run = 0;
	return h->down ? SW_HEALTH_FELL : SW_HEALTH_ROSE;
}

enum sw_health_change sw_health_checked(struct sw_health *h, const struct sw_health_config *cf,
					bool passed)
{
	if (passed != h->down) {
		h->run = 0;
		return SW_HEALTH_SAME;
	}
	if (++h->run < (h->down ? cf->rise : cf->fall))
		return SW_HEALTH_SAME;
	return turn_over(h);
}

enum sw_health_change sw_health_met(struct sw_health *h, const struct sw_health_config *cf,
				    bool reached, uint64_t now_ms)
{
	if (cf->interval_ms)
		return SW_HEALTH_SAME;
	if (!reached)
		h->again_ms = now_ms + SW_HEALTH_PAUSE_MS;
	return reached == h->down ? turn_over(h) : SW_HEALTH_SAME;
}

bool sw_health_may(const struct sw_health *h, const struct sw_health_config *cf, uint64_t now_ms)
{
	return !h->down || (!cf->interval_ms && now_ms >= h->again_ms);
}

void sw_health_take(struct sw_health *h, uint64_t now_ms)
{
	if (h->down)
		h->again_ms = now_ms + SW_HEALTH_PAUSE_MS;
}
