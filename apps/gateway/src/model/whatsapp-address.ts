/** Every known address of a 1:1 partner. At least one of them is set. Digits only, without the server part. */
export interface WhatsAppAddress {
  phone?: string
  lid?: string
}
