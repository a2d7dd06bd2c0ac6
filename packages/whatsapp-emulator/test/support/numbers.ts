/** A linked company, another one, and their customers. */
export const SALON = '491700000001'
export const BAKERY = '491700000002'
export const ANNA = '491719999991'
export const BERT = '491719999992'

export const jidOf = (phone: string) => `${phone}@s.whatsapp.net`
