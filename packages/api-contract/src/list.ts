import { z } from 'zod'
import { cursor, pageSize } from './common.ts'

/** One page of a list. */
export const list = <Item extends z.ZodType>(item: Item) =>
  z.strictObject({
    items: z.array(item),
    next: cursor.nullable().describe('Hand it back as `cursor` for the next page; null on the last page.'),
  })

export interface List<Item> {
  items: Item[]
  next: string | null
}

/** Of lists that are in the order of their items' making. */
export const itemCursor = z.uuid().toLowerCase().describe('`next` of the page before.')

export const pageQuery = z.strictObject({
  limit: pageSize(200, 50),
  cursor: itemCursor.optional(),
})
