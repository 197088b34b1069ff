/* SPDX-License-Identifier: MIT */
#include "core/keyring.h"

#include "core/cursor.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <string.h>

#define INFO_MAX 32

static char hkdf_digest[] = "SHA256"; /* OSSL_PARAM takes no pointer to const */
static char hkdf_salt[] = "synward cookie v1";

_Static_assert((SW_KEYRING_SLOTS & (SW_KEYRING_SLOTS - 1)) == 0, "slots are chosen by mask");
_Static_assert(SW_EPOCHS_BEHIND + 1 + SW_EPOCHS_AHEAD <= SW_KEYRING_SLOTS, "epochs must fit");

bool sw_epoch_key_derive(uint8_t out[SW_KEY_LEN], const uint8_t master[SW_KEY_LEN],
			 enum sw_mac_alg alg, sw_epoch epoch)
{
	const char *name = sw_mac_name(alg);
	const size_t name_len = strlen(name);
	uint8_t info[INFO_MAX] = { 0 }, key[SW_KEY_LEN];
	EVP_KDF *kdf = EVP_KDF_fetch(NULL, "HKDF", NULL);
	EVP_KDF_CTX *cx = kdf ? EVP_KDF_CTX_new(kdf) : NULL;
	bool ok;

	sw_put_u32(info + 4, epoch.n);
	memcpy(info + 8, name, name_len);
	memcpy(key, master, sizeof(key));
	const OSSL_PARAM params[] = {
		OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, hkdf_digest, 0),
		OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, key, sizeof(key)),
		OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SALT, hkdf_salt,
						  sizeof(hkdf_salt) - 1),
		OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, info, 8 + name_len),
		OSSL_PARAM_construct_end(),
	};
	ok = cx && EVP_KDF_derive(cx, out, SW_KEY_LEN, params) == 1;
	OPENSSL_cleanse(key, sizeof(key));
	EVP_KDF_CTX_free(cx);
	EVP_KDF_free(kdf);
	return ok;
}

static struct sw_epoch_key *slot_of(struct sw_keyring *kr, size_t master, sw_epoch epoch)
{
	return &kr->slot[master][epoch.n & (SW_KEYRING_SLOTS - 1)];
}

static bool holds(const struct sw_epoch_key *k, sw_epoch epoch)
{
	return k->live && k->epoch.n == epoch.n;
}

static void forget(struct sw_epoch_key *k)
{
	sw_mac_wipe(&k->mac);
	k->live = false;
}

static bool hold(struct sw_keyring *kr, size_t master, sw_epoch epoch)
{
	struct sw_epoch_key *k = slot_of(kr, master, epoch);
	uint8_t key[SW_KEY_LEN];

	if (holds(k, epoch))
		return true;
	forget(k);
	k->epoch = epoch;
	k->live = sw_epoch_key_derive(key, kr->masters.key[master], kr->alg, epoch) &&
		  sw_mac_init(&k->mac, kr->alg, key);
	OPENSSL_cleanse(key, sizeof(key));
	return k->live;
}

bool sw_keyring_advance(struct sw_keyring *kr, sw_wall now)
{
	bool ok = true;

	kr->now = sw_epoch_at(now);
	for (size_t m = 0; m < kr->masters.n; m++) {
		/* One turn around the slots: the epochs to hold, then the ones to forget. */
		for (uint32_t i = 0; i < SW_KEYRING_SLOTS; i++) {
			const sw_epoch epoch = { kr->now.n - SW_EPOCHS_BEHIND + i };

			if (i <= SW_EPOCHS_BEHIND + SW_EPOCHS_AHEAD)
				ok = hold(kr, m, epoch) && ok;
			else if (slot_of(kr, m, epoch)->live)
				forget(slot_of(kr, m, epoch));
		}
	}
	return ok;
}

bool sw_keyring_init(struct sw_keyring *kr, enum sw_mac_alg alg, const struct sw_masters *masters,
		     sw_wall now)
{
	memset(kr, 0, sizeof(*kr));
	if (masters->n == 0 || masters->n > SW_MAX_MASTERS)
		return false;
	kr->alg = alg;
	kr->masters = *masters;
	if (sw_keyring_advance(kr, now))
		return true;
	sw_keyring_wipe(kr);
	return false;
}

void sw_keyring_wipe(struct sw_keyring *kr)
{
	for (size_t m = 0; m < SW_MAX_MASTERS; m++)
		for (size_t i = 0; i < SW_KEYRING_SLOTS; i++)
			forget(&kr->slot[m][i]);
	OPENSSL_cleanse(kr, sizeof(*kr));
}

struct sw_mac *sw_keyring_mac(struct sw_keyring *kr, size_t master, sw_epoch epoch)
{
	struct sw_epoch_key *k;

	if (master >= kr->masters.n)
		return NULL;
	k = slot_of(kr, master, epoch);
	return holds(k, epoch) ? &k->mac : NULL;
}
