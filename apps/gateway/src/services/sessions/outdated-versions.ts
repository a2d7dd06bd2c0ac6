/** How long a refused version is not tried again, milliseconds. */
const TRUSTED_MS = 10 * 60_000
/** Versions of a deployment are few. */
const MAX_VERSIONS = 100

/**
 * Versions of WhatsApp Web that WhatsApp has refused. It refuses them to all sessions alike: one finds it out, and the
 * others wait with it. An undefined version is the provider's own.
 */
export class OutdatedVersions {
  readonly #refusedAtMs = new Map<string | undefined, number>()
  readonly #accepted = new Set<string | undefined>()

  /** True if this is news. */
  refused(version: string | undefined): boolean {
    const isNews = !this.isRefused(version)
    if (this.#refusedAtMs.size >= MAX_VERSIONS) this.#refusedAtMs.clear()
    this.#refusedAtMs.set(version, performance.now())
    this.#accepted.delete(version)
    return isNews
  }

  isRefused(version: string | undefined): boolean {
    const atMs = this.#refusedAtMs.get(version)
    return atMs !== undefined && performance.now() - atMs < TRUSTED_MS
  }

  /** True if this is news. */
  accepted(version: string | undefined): boolean {
    if (this.#accepted.has(version)) return false
    if (this.#accepted.size >= MAX_VERSIONS) this.#accepted.clear()
    this.#accepted.add(version)
    this.#refusedAtMs.delete(version)
    return true
  }
}
