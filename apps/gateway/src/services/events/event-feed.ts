import { EVENT_TYPES, type Event, type EventList, event } from '@frontdesk/api-contract'
import type { Database } from '#src/storage/database.ts'
import { readEvents, type StoredEvent } from '#src/storage/events.ts'

/** Reads a company's event log as the API shows it. */
export class EventFeed {
  readonly #database: Database

  constructor(database: Database) {
    this.#database = database
  }

  /** Oldest first, from after the cursor. @throws FrontdeskError `invalid_request` for a cursor that is none */
  async read(
    companyId: string,
    query: { after?: string | undefined; limit: number; types?: readonly string[] | undefined },
  ): Promise<EventList> {
    const { after, limit, types } = query
    const page = await this.#database.asCompany(companyId, (db) =>
      readEvents(companyId, db, {
        limit,
        ...(after !== undefined && { after }),
        ...(types !== undefined && { types }),
      }),
    )
    return { items: page.events.filter(isKnown).map(toEvent), next: page.next }
  }
}

/** Another version may have written events that this one has no words for. Its readers would ignore them. */
const isKnown = ({ type }: StoredEvent): boolean => EVENT_TYPES.some((known) => known === type)

const toEvent = ({ id, type, sessionId, subjectId, data, createdAt }: StoredEvent): Event =>
  event.parse({ id, type, sessionId, subjectId, data, createdAt: createdAt.toISOString() })
