import { MAX_TIMER_MS } from '#src/model/steady-now.ts'

/** What becomes of an item after one try: it is done, or the whole lane waits and then tries it again. */
export type LaneOutcome = 'done' | { againInMs: number }

export interface LanesOptions<Item> {
  /** Items in work at once, over all groups. */
  concurrency: number
  /** Items in work at once within one group, so that a group that is stuck leaves room for the others. */
  concurrencyPerGroup: number
  /** Works on one item. Must not reject: what a failure means is the owner's to decide. */
  process(item: Item): Promise<LaneOutcome>
  /** Called when `process` rejected nevertheless. The item counts as done, since the lane must go on. */
  onError(error: unknown): void
}

interface Lane<Item> {
  group: Group<Item>
  key: string
  items: Item[]
  /** When its first item was taken into work, `performance.now()` milliseconds; undefined when none is. */
  busySinceMs: number | undefined
  timer: NodeJS.Timeout | undefined
}

interface Group<Item> {
  name: string
  lanes: Map<string, Lane<Item>>
  /** Lanes that could work now, longest waiting first. */
  ready: Set<Lane<Item>>
  running: number
}

/**
 * Queues by key: within a key items are worked on one after the other in the order of their coming; different keys go
 * in parallel. Keys stand in groups (a company, a session) that take turns, so that nobody's burst starves the others.
 * A lane exists only while it has items.
 */
export class Lanes<Item> {
  readonly #options: LanesOptions<Item>
  readonly #groups = new Map<string, Group<Item>>()
  /** Groups with a ready lane and room for it, longest waiting first. */
  readonly #readyGroups = new Set<Group<Item>>()
  readonly #idleWaiters: (() => void)[] = []
  #running = 0

  constructor(options: LanesOptions<Item>) {
    this.#options = options
  }

  /** How many items are in work now. */
  get running(): number {
    return this.#running
  }

  /** How many lanes of the group have items. */
  lanesOf(group: string): number {
    return this.#groups.get(group)?.lanes.size ?? 0
  }

  /** The groups that have had an item in work for longer than so many milliseconds. */
  *stuckGroups(olderThanMs: number): Generator<string> {
    const before = performance.now() - olderThanMs
    for (const { name, running, lanes } of this.#groups.values()) {
      if (running === 0) continue
      for (const { busySinceMs } of lanes.values()) {
        if (busySinceMs === undefined || busySinceMs > before) continue
        yield name
        break
      }
    }
  }

  /** Puts an item at the end of its lane. */
  add(groupName: string, key: string, item: Item): void {
    const lane = this.#laneOf(groupName, key)
    lane.items.push(item)
    this.#offer(lane)
    this.#startReady()
  }

  /** Forgets the items that match and are not in work. */
  drop(groupName: string, matches: (item: Item) => boolean = () => true): void {
    const group = this.#groups.get(groupName)
    if (group === undefined) return
    for (const lane of group.lanes.values()) {
      // The first item of a busy lane is in work; it leaves the lane by itself.
      lane.items = lane.items.filter((item, index) => (lane.busySinceMs !== undefined && index === 0) || !matches(item))
      if (lane.items.length === 0) this.#remove(lane)
    }
    this.#settle()
  }

  /** Ends the waiting of a lane that is to try its item again later: it tries now. */
  hurry(groupName: string): void {
    for (const lane of this.#groups.get(groupName)?.lanes.values() ?? []) {
      if (lane.timer === undefined) continue
      clearTimeout(lane.timer)
      lane.timer = undefined
      this.#offer(lane)
    }
    this.#startReady()
  }

  /** Resolves when no lane has an item. */
  async idle(): Promise<void> {
    if (this.#groups.size === 0) return
    await new Promise<void>((resolve) => this.#idleWaiters.push(resolve))
  }

  #laneOf(groupName: string, key: string): Lane<Item> {
    let group = this.#groups.get(groupName)
    if (group === undefined) {
      group = { name: groupName, lanes: new Map(), ready: new Set(), running: 0 }
      this.#groups.set(groupName, group)
    }
    let lane = group.lanes.get(key)
    if (lane === undefined) {
      lane = { group, key, items: [], busySinceMs: undefined, timer: undefined }
      group.lanes.set(key, lane)
    }
    return lane
  }

  #remove(lane: Lane<Item>): void {
    const { group } = lane
    clearTimeout(lane.timer)
    group.lanes.delete(lane.key)
    group.ready.delete(lane)
    if (group.ready.size === 0) this.#readyGroups.delete(group)
    if (group.lanes.size === 0) this.#groups.delete(group.name)
  }

  #offer(lane: Lane<Item>): void {
    if (lane.busySinceMs !== undefined || lane.timer !== undefined) return
    lane.group.ready.add(lane)
    this.#offerGroup(lane.group)
  }

  #offerGroup(group: Group<Item>): void {
    if (group.ready.size > 0 && group.running < this.#options.concurrencyPerGroup) this.#readyGroups.add(group)
  }

  #startReady(): void {
    while (this.#running < this.#options.concurrency) {
      const [group] = this.#readyGroups
      if (group === undefined) return
      this.#readyGroups.delete(group)
      const [lane] = group.ready
      if (lane === undefined) continue
      group.ready.delete(lane)
      this.#start(lane)
      this.#offerGroup(group)
    }
  }

  #start(lane: Lane<Item>): void {
    const [item] = lane.items
    if (item === undefined) return
    lane.busySinceMs = performance.now()
    lane.group.running += 1
    this.#running += 1
    void this.#work(item).then((outcome) => this.#finish(lane, outcome))
  }

  async #work(item: Item): Promise<LaneOutcome> {
    // Not inside the caller of `add`, which is in the middle of something else.
    await Promise.resolve()
    try {
      return await this.#options.process(item)
    } catch (error) {
      this.#options.onError(error)
      return 'done'
    }
  }

  #finish(lane: Lane<Item>, outcome: LaneOutcome): void {
    lane.busySinceMs = undefined
    lane.group.running -= 1
    this.#running -= 1
    if (outcome === 'done') {
      lane.items.shift()
    } else {
      lane.timer = setTimeout(
        () => {
          lane.timer = undefined
          this.#offer(lane)
          this.#startReady()
        },
        Math.min(outcome.againInMs, MAX_TIMER_MS),
      )
    }
    if (lane.items.length === 0) this.#remove(lane)
    else this.#offer(lane)
    this.#offerGroup(lane.group)
    this.#startReady()
    this.#settle()
  }

  #settle(): void {
    if (this.#groups.size > 0) return
    for (const resolve of this.#idleWaiters.splice(0)) resolve()
  }
}
