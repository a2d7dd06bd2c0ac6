import type { CompanySettings } from '@frontdesk/api-contract'

/** The people and the rules of the demonstration. The numbers are from a range that is never given out. */
export const SALON = { name: 'Salon Aurora', phone: '491700000001' }
export const CUSTOMER = { name: 'Mia', phone: '491711111111' }

export const QUESTIONS = ['Hi!', 'do you do balayage?', 'and how much is it?']

export const SALON_SETTINGS: CompanySettings = {
  responders: [
    {
      kind: 'rules',
      greeting: {
        keywords: ['hi', 'hello', 'hey', 'good morning', 'good evening'],
        opening: 'Hi there!',
        answer: 'Hi there! How can we help you?',
      },
      faq: [
        {
          question: 'Do you do balayage?',
          keywords: ['balayage'],
          answer: 'Yes, we love doing balayage: Lena has done it for nine years.',
        },
        {
          question: 'When are you open?',
          keywords: ['open'],
          answer: 'We are open Tuesday to Saturday, 9 to 18 o’clock.',
        },
      ],
      keywords: [
        {
          any: ['how much', 'price', 'prices', 'cost', 'costs'],
          answer: 'It is 140 € for shoulder-length hair and takes about three hours.',
        },
        { any: ['appointment', 'book', 'booking'], answer: 'Tell us a day and a time, and we will look.' },
      ],
    },
  ],
  fallback: 'Thank you for your message! One of us will come back to you today.',
}
