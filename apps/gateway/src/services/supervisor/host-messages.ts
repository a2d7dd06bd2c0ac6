import type { NodeLife } from '#src/storage/nodes.ts'

/** What the supervisor tells a session host. */
export type ToHost<Start> =
  /** The first one: what to start with. Secrets come this way, since a command line is readable by all. */
  | { kind: 'start'; start: Start }
  /** All hosts are there: whatever nobody owns may be claimed. */
  | { kind: 'claim' }
  /** Sessions of another host have become free. */
  | { kind: 'look' }
  | { kind: 'end' }

/** What a session host tells the supervisor. */
export type FromHost =
  /** It owns sessions under this life from now on. */
  | { kind: 'began'; life: NodeLife }
  /** It could not start: an error of the catalogue, for people. */
  | { kind: 'failed'; code: string; detail: string | undefined }
